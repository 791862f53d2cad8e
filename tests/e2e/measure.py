"""Measures which answers to which events have an effect on the real client; docs/client-measurements.md holds the outcome.

Run by hand from the root of the repository:

    python -m tests.e2e.measure                      # all events, the pinned client, the tables on standard output
    python -m tests.e2e.measure --event Elicitation  # one event
    python -m tests.e2e.measure --write              # put the tables into docs/client-measurements.md
"""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.answers import CONTEXT, MESSAGE, REASON, STOP_REASON, Answer, common_answers, own_answers
from tests.e2e.binary import client_binary, wanted_version
from tests.e2e.client import Workspace
from tests.e2e.hooks import Hook, HookServer, Reply
from tests.e2e.model import Model
from tests.e2e.scenes import SCENES, Sight, Stage

PAGE = Path(__file__).parents[2] / "docs" / "client-measurements.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

_REJECTED = re.compile(r"Hook JSON output validation failed — (.+?)(?:\\+n|\n|$)", re.MULTILINE)
_URL = re.compile(r"http://127\.0\.0\.1:\d+/ext/claude")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one answer did."""

    event: str
    answer: Answer
    effect: str
    changed: bool
    text: str
    rejected: str

    def cell(self) -> str:
        """In few words, for a table with a column for each answer."""
        said = f"**{self.effect}**" if self.changed else ""
        parts = [said, self.text, "rejected" if self.rejected else ""]
        return "; ".join(part for part in parts if part) or "-"


def _text(sight: Sight) -> str:
    """Where the words of the answer came out again."""
    asked = json.dumps(sight.asked)
    # What the stream says about the hooks themselves is for this measurement only.
    shown = [event for event in sight.run.events if event.get("subtype") not in ("hook_response", "hook_progress")]
    output = json.dumps(shown) + sight.run.stderr
    for word in (REASON, CONTEXT, MESSAGE, STOP_REASON):
        if word in asked:
            return "model sees the text" + (" and the hook's URL" if _URL.search(asked) else "")
        if word in output:
            return "person sees the text"
    return ""


def _rejected(sight: Sight) -> str:
    """The client's own words where it threw the answer away."""
    said = [event.get("stderr") or "" for event in sight.run.events if event.get("subtype") == "hook_response"]
    found = _REJECTED.search("\n".join([*said, sight.run.stderr, sight.run.debug]))
    return found.group(1).replace("\\", "").strip() if found else ""


def measure(event: str, version: str, model: Model, hooks: HookServer) -> Iterator[Outcome]:
    """Tries every answer to one event, each in a fresh home; the first is no opinion, which the others are held against."""
    baseline = ""
    for answer in [*common_answers(event), *own_answers(event)]:

        def reply(hook: Hook, answer: Answer = answer) -> Reply:
            return Reply(answer.body, answer.status) if hook.event == event else Reply()

        hooks.reset(reply)
        with tempfile.TemporaryDirectory(prefix="hookgate-measure-", ignore_cleanup_errors=True) as root:
            space = Workspace(Path(root), client_binary(version), model.url)
            sight = SCENES[event](Stage(space, model, hooks, answer.on_failure))
        effect = sight.effect if hooks.seen(event) else "did not fire"
        baseline = baseline or effect
        yield Outcome(event, answer, effect, effect != baseline, _text(sight), _rejected(sight))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def tables(outcomes: Sequence[Outcome]) -> list[str]:
    """Markdown: what every event makes of the common answers, then what events make of the answers of their own."""
    common = [answer.name for answer in common_answers("")]
    lines = [_line(["event", "no opinion: `{}`", *common[1:]]), _line(["---"] * (len(common) + 1))]
    for event in dict.fromkeys(outcome.event for outcome in outcomes):
        of_event = {outcome.answer.name: outcome for outcome in outcomes if outcome.event == event}
        first = of_event[common[0]]
        lines.append(_line([event, first.effect, *(of_event[name].cell() for name in common[1:])]))
    lines += ["", _line(["event", "answer", "effect", "rejected because"]), _line(["---"] * 4)]
    for outcome in outcomes:
        if outcome.answer.name not in common:
            said = "; ".join(part for part in (outcome.effect if outcome.changed else "", outcome.text) if part)
            lines.append(_line([outcome.event, outcome.answer.name, said or "-", outcome.rejected]))
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--client", default=wanted_version(), help="the client's version")
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--event", action="append", choices=sorted(SCENES), help="only this event; may be repeated")
    part.add_argument("--write", action="store_true", help=f"all events, into docs/{PAGE.name}")
    chosen = parser.parse_args()
    model, hooks = Model(), HookServer()
    outcomes: list[Outcome] = []
    try:
        for event in chosen.event or SCENES:
            print(f"measuring {event}", file=sys.stderr, flush=True)
            outcomes += measure(event, chosen.client, model, hooks)
    finally:
        model.close()
        hooks.close()
    lines = [f"Client {chosen.client}, without a terminal.", "", *tables(outcomes)]
    if not chosen.write:
        print("\n".join(lines))
        return 0
    page = PAGE.read_text()
    PAGE.write_text("\n".join([page.split(BEGIN)[0] + BEGIN, "", *lines, "", END]) + page.split(END)[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())
