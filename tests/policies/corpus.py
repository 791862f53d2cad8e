"""Rows with a verdict, through facts, the real PDP and the shipped policies: `make eval CORPUS=DIR`.

A set is a file of JSON lines with `tool`, `command` or `tool_input`, `expected` (`deny`, `ask`, `allow`), and, where they matter, `cwd`
and `home`. Rows with `needs_fs` hang on links on their author's disk: they are shown in a line of their own.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hookgate.binaries import find_cerbos
from hookgate.outcome import Outcome
from tests.policies.pdp import CWD, RunningPdp, running

POLICIES = Path(__file__).parents[2] / "policies"


@dataclass
class Score:
    """How one set came out."""

    name: str
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def share(self, expected: str, *outcomes: str) -> str:
        rows = sum(count for (wanted, _), count in self.outcomes.items() if wanted == expected)
        met = sum(self.outcomes[expected, outcome] for outcome in outcomes)
        return f"{met}/{rows} {100 * met / rows:.1f} %" if rows else "-"

    def line(self) -> str:
        stopped, denied = self.share("deny", "deny", "ask"), self.share("deny", "deny")
        friction, refused = self.share("allow", "deny", "ask"), self.share("allow", "deny")
        asked = self.share("ask", "deny", "ask")
        return f"| {self.name} | {stopped} | {denied} | {friction} | {refused} | {asked} |"


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """Gives the rows of a set."""
    for line in path.read_text().splitlines():
        row = json.loads(line)
        if isinstance(row, dict):
            yield row


def decided(pdp: RunningPdp, row: dict[str, Any]) -> tuple[str, list[str]]:
    """Gives what the client would be told about a row's call, and the rules that say so."""
    tool_input = row.get("tool_input") or {"command": row.get("command", "")}
    payload = {
        "hook_event_name": "PreToolUse",
        "tool_name": row["tool"],
        "tool_input": tool_input,
        "cwd": row.get("cwd") or CWD,
    }
    found = pdp.decide(payload)
    outcome = found.verdict.outcome
    return ("deny" if outcome in (Outcome.DENY, Outcome.ERROR) else outcome.value), found.rules


def score(pdp: RunningPdp, path: Path) -> list[Score]:
    """Gives the scores of a set: its rows, and apart from them those that hang on a disk."""
    scores = [Score(path.stem), Score(f"{path.stem} (needs_fs)")]
    for row in rows_of(path):
        outcome, rules = decided(pdp, row)
        one = scores[1 if row.get("needs_fs") else 0]
        one.outcomes[row["expected"], outcome] += 1
        wrong = (
            (row["expected"] == "deny" and outcome != "deny")
            or (row["expected"] == "allow" and outcome != "allow")
            or (row["expected"] == "ask" and outcome == "deny")
        )
        if wrong:
            call = row.get("command") or json.dumps(row.get("tool_input"))
            one.wrong.append(f"{row['expected']:>5} -> {outcome:<5} {','.join(rules):<24} {row['id']}  {call!r:.160}")
    return [one for one in scores if one.outcomes]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make eval")
    parser.add_argument("corpus", type=Path, help="Directory of *.jsonl files.")
    parser.add_argument("--policies", type=Path, default=POLICIES)
    parser.add_argument("--set", action="append", help="Only this set.")
    parser.add_argument("--brief", action="store_true", help="Leave out the rows that went wrong.")
    options = parser.parse_args()
    files = [path for path in sorted(options.corpus.glob("*.jsonl")) if not options.set or path.stem in options.set]
    if not files:
        sys.exit(f"eval: no *.jsonl in {options.corpus}: name the directory with CORPUS=DIR")
    table = [
        "| set | deny rows stopped | denied | allow rows touched | denied | ask rows stopped |",
        "|---|---|---|---|---|---|",
    ]
    with running(find_cerbos(say=print).path, options.policies) as pdp:
        for path in files:
            for one in score(pdp, path):
                table.append(one.line())
                if one.wrong and not options.brief:
                    print(f"\n{one.name}", *one.wrong, sep="\n")
    print("", *table, sep="\n")


if __name__ == "__main__":
    main()
