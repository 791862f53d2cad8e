"""The tests of `policies/`, from the table in `cases.jsonl`: `python -m tests.policies.cases --write` makes the files that
`cerbos compile` runs, each call with the facts that the service finds about it.

A table has a line of JSON a call: the event, the rule that stops it (or none), the reason where a rule has several, the effect, the tool,
its input.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from hookgate.facts import Facts, facts_of
from hookgate.hooks.decode import Read
from hookgate.hooks.event import event_from

POLICIES = Path(__file__).parents[2] / "policies"
TABLE = Path(__file__).parent / "cases.jsonl"
CWD = "/home/dev/project"
HEAD = "# Made by `python -m tests.policies.cases --write` from tests/policies/cases.jsonl.\n"


def cases() -> list[dict[str, Any]]:
    """Gives the table."""
    return [json.loads(line) for line in TABLE.read_text().splitlines()]


def written() -> Iterator[tuple[Path, str]]:
    """Gives the files and what they hold."""
    table = cases()
    for event in dict.fromkeys(case["event"] for case in table):
        found = [case for case in table if case["event"] == event]
        name = "".join(f"_{char.lower()}" if char.isupper() else char for char in event).lstrip("_")
        yield POLICIES / "tests" / f"{name}_test.yaml", _file(event, found)


def _file(event: str, found: list[dict[str, Any]]) -> str:
    said = _said()
    resources: dict[str, Any] = {}
    tests: list[dict[str, Any]] = []
    for at, case in enumerate(found):
        payload = {"hook_event_name": event, "tool_name": case["tool"], "tool_input": case["input"], "cwd": CWD}
        facts = facts_of(event_from(Read(payload, altered=False, truncated=()))).attributes()
        key = f"{at} {case['tool']}"
        resources[key] = {
            "kind": event,
            "id": "call",
            "attr": {
                "cwd": CWD,
                "tool_name": case["tool"],
                "tool_input": case["input"],
                "facts": facts,
                **case.get("more", {}),
            },
        }
        expected: dict[str, Any] = {
            "principal": case.get("principal", "engineer"),
            "resource": key,
            "actions": {case["tool"]: f"EFFECT_{case['effect']}"},
        }
        if case.get("rule"):
            said_of = said[event, f"{case['rule']} {case['reason']}" if "reason" in case else case["rule"]]
            output = {"src": f"resource.{event}.vdefault#{case['rule']}", "val": said_of}
            expected["outputs"] = [{"action": case["tool"], "expected": [output]}]
        tests.append(
            {
                "name": f"{case.get('rule') or 'nothing'} speaks about {key}",
                "input": {"principals": [expected["principal"]], "resources": [key], "actions": [case["tool"]]},
                "expected": [expected],
            }
        )
    lines = [HEAD + f"name: {event}", "resources:"]
    lines += [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in resources.items()]
    lines += ["tests:", *(f"  - {json.dumps(test)}" for test in tests)]
    return "\n".join(lines) + "\n"


def _said() -> dict[tuple[str, str], Any]:
    """Gives what each rule tells, its constants put in."""
    reasons = yaml.safe_load((POLICIES / "shared" / "reasons.yaml").read_text())["exportConstants"]["definitions"]
    found: dict[tuple[str, str], Any] = {}
    for path in POLICIES.glob("*.yaml"):
        policy = yaml.safe_load(path.read_text())["resourcePolicy"]
        for rule in policy["rules"]:
            text = rule.get("output", {}).get("when", {}).get("ruleActivated", "")
            if "V.reason" in text:
                for name, reason in reasons.items():
                    told = text.replace("V.reason", json.dumps(reason))
                    found[policy["resource"], f"{rule['name']} {name}"] = json.loads(told)
            elif "C." in text:
                known = {**reasons, **policy.get("constants", {}).get("local", {})}
                told = re.sub(r"C\.(\w+)", lambda match, known=known: json.dumps(known[match[1]]), text)  # type: ignore[misc]
                found[policy["resource"], rule["name"]] = json.loads(told)
    return found


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    for path, text in written():
        path.write_text(text)
    schema = msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Facts)), indent=2).decode()
    (POLICIES / "_schemas" / "facts.json").write_text(schema + "\n")
