import json
from pathlib import Path

import pytest

from hookgate.pdp.decision import Effect
from hookgate.pdp.request import Question
from hookgate.policies.actions import matches, names_one, seems_wild
from tests.policies.pdp import running

CASES = [
    ("*", "Bash", True),
    ("*", "a:b", True),
    ("Bash", "Bash", True),
    ("Bash", "BashOutput", False),
    ("mcp__*", "mcp__demo__add", True),
    ("mcp__*", "mcp__a:b__c", False),
    ("mcp__**", "mcp__a:b__c", True),
    ("Task?et", "TaskGet", False),
    ("Task?et*", "TaskGet", True),
    ("{Read,Write}", "Read", False),
    ("{Read,Write}", "{Read,Write}", True),
    ("[RW]ead", "Read", False),
    ("{Read,Write*}", "Write", True),
    ("{Read,Write*}", "Edit", False),
    ("[RW]*", "Read", True),
    ("[!R]*", "Read", False),
    ("a.b", "axb", False),
]


@pytest.mark.parametrize(("pattern", "action", "expected"), CASES)
def test_wildcards_are_matched(pattern: str, action: str, expected: bool) -> None:
    assert matches(pattern, action) is expected


def test_the_pdp_matches_them_likewise(tmp_path: Path, cerbos: Path) -> None:
    for number, (pattern, _, _) in enumerate(CASES):
        rule = {"actions": [pattern], "effect": "EFFECT_ALLOW", "roles": ["*"]}
        policy = {"resource": f"kind{number}", "version": "default", "rules": [rule]}
        content = {"apiVersion": "api.cerbos.dev/v1", "resourcePolicy": policy}
        (tmp_path / f"{number}.json").write_text(json.dumps(content))
    with running(cerbos, tmp_path) as pdp:
        for number, (pattern, action, expected) in enumerate(CASES):
            decision = pdp.ask(Question("x", f"kind{number}", "x", action, {}, "x", ("x",), {}))
            assert (decision.effect is Effect.ALLOW) is expected, (pattern, action)


def test_a_plain_name_is_told_from_one_with_wildcards() -> None:
    assert names_one("mcp__demo__add")
    assert not names_one("mcp__demo__*")
    assert names_one("{Read,Write}")


def test_what_looks_wild_and_is_not_is_known() -> None:
    assert seems_wild("{Read,Write}")
    assert not seems_wild("{Read,Write}*")
    assert not seems_wild("Read")
