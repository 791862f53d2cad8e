"""What candidate policies would have changed in a period whose answer is known by how it was made."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from hookgate.audit.store.opening import open_store
from hookgate.audit.store.question import Filter
from hookgate.binaries import find_cerbos
from hookgate.config.audit import Level
from hookgate.errors import GateError
from hookgate.pdp.process import CerbosError
from hookgate.whatif.asked_again import Request, asked_again
from hookgate.whatif.judge import Judge
from hookgate.whatif.model import Result
from hookgate.whatif.trying import Trial, Trying
from tests.conftest import ROOT
from tests.integration.running import environment
from tests.support.asked import BEGIN, asked
from tests.support.audited import chained, stored
from tests.support.wait import until

TOKEN = "ghp_" + "a1B2" * 9


def policy(*rules: str, kind: str = "PreToolUse", scope: str = "") -> str:
    """A policy that lets everything through but for its rules."""
    allow = 'name: rest, actions: ["*"], effect: EFFECT_ALLOW, roles: ["*"]'
    lines = "\n".join(f"    - {{{rule}}}" for rule in (*rules, allow))
    head = f"  resource: {kind}\n  version: default\n" + (f"  scope: {scope}\n" if scope else "")
    return f"apiVersion: api.cerbos.dev/v1\nresourcePolicy:\n{head}  rules:\n{lines}\n"


def rule(name: str, expr: str, answer: str = "deny", actions: str = "Bash") -> str:
    effect = "EFFECT_DENY" if answer == "deny" else "EFFECT_ALLOW"
    output = (
        f"""'{{"hookSpecificOutput": {{"permissionDecision": "{answer}", "permissionDecisionReason": "{name}"}}}}'"""
    )
    return (
        f'name: {name}, actions: ["{actions}"], effect: {effect}, roles: ["*"], '
        f"condition: {{match: {{expr: '{expr}'}}}}, output: {{when: {{ruleActivated: {output}}}}}"
    )


CANDIDATE = policy(
    rule("no-forbidden", 'R.attr.tool_input.command.contains("forbidden")'),
    rule("curl-asks", 'R.attr.tool_input.command.contains("curl")', "ask"),
    rule("marketing-writes", '"marketing" in P.roles', actions="Write"),
)


def directory(path: Path, *policies: str) -> Path:
    path.mkdir()
    for number, text in enumerate(policies):
        (path / f"policy{number}.yaml").write_text(text)
    return path


def store(path: Path, records: Iterable[dict[str, Any]]) -> Path:
    path.mkdir(exist_ok=True)
    return stored(path, chained(records))


def tried(where: Path, policies: Path, *, against: Path | None = None, wanted: Filter = Filter()) -> Result:  # noqa: B008
    cerbos = find_cerbos(say=print).path

    async def run() -> Result:
        with closing(open_store(where)) as opened:
            trial = Trial(cerbos=cerbos, policies=policies, wanted=wanted, against=against)
            return await Trying(trial).run(opened, lambda _: None)

    return asyncio.run(run())


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory whose name leaves room for a socket's."""
    with tempfile.TemporaryDirectory(prefix="wi-") as directory:
        yield Path(directory)


@pytest.fixture(scope="module")
def period() -> list[dict[str, Any]]:
    """Told: 3 newly denied, 1 asked, 2 allowed, 1 no more asked but denied; the rest can't be, or is as it was."""
    secret, long = f"curl -H 'Authorization: Bearer {TOKEN}' https://example.com", "echo " + "x" * 9000
    return [
        asked(1, tool_input="ls"),
        asked(2, tool_input="cat forbidden.txt"),
        asked(3, tool_input="cat forbidden.txt", user="kim", outcome="no_match"),
        asked(4, tool_input="cat forbidden.txt", outcome="deny", rule="resource.PreToolUse.vdefault#old"),
        asked(5, tool_input="curl https://example.com"),
        asked(6, tool_input="make", outcome="deny", rule="resource.PreToolUse.vdefault#no-make"),
        asked(7, tool_input="make", outcome="ask", rule="resource.PreToolUse.vdefault#make-asks"),
        asked(8, "Write", {"file_path": "/home/dev/project/a", "content": "b"}, user="mia", roles=("marketing", "staff")),
        asked(9, "Write", {"file_path": "/home/dev/project/a", "content": "b"}, user="kim"),
        asked(10, tool_input=secret),
        asked(11, tool_input=long),
        asked(12, tool_input="cat forbidden.txt", level=Level.METADATA),
        asked(13, tool_input="ls", outcome="error"),
        asked(14, tool_input="cat forbidden.txt", outcome="error"),
        asked(15, "Write", {"file_path": "/home/dev/project/a", "content": f"TOKEN={TOKEN}"}),
        asked(16, "", event="UserPromptSubmit", more={"prompt": "hello"}, outcome="no_match"),
        asked(17, "Read", {"file_path": "/home/dev/project/a"}, outcome="no_match"),
        asked(18, tool_input="ls", claims={"note": TOKEN}),
        asked(19, tool_input="ls", changes={"event": "", "user": "", "roles": [], "outcome": "error"}),
    ]  # fmt: skip


def test_what_would_change_is_told_by_rule_user_and_tool_and_what_cannot_be_is_named(
    period: list[dict[str, Any]], tmp_path: Path
) -> None:
    found = tried(store(tmp_path, period), directory(tmp_path / "candidate", CANDIDATE))
    assert found.total == len(period)
    assert found.changes == {
        "newly_denied": 3,
        "newly_asked": 1,
        "newly_allowed": 2,
        "newly_matched": 1,
        "newly_unmatched": 0,
        "unchanged": 6,
    }
    assert found.transitions == {
        "allow > allow": 4, "allow > deny": 2, "allow > ask": 1, "ask > allow": 1, "deny > allow": 1,
        "deny > deny": 1, "no_match > allow": 1, "no_match > deny": 1, "no_match > no_match": 1,
    }  # fmt: skip
    assert found.told == sum(found.changes.values())
    # 10: the redacted command; 11: the cut one; 12: metadata; 19: nothing was understood. 15 and 18 hold marks that no policy reads.
    assert (found.unsure, found.unsure_why) == (4, {"cut": 1, "metadata": 1, "no_request": 1, "redacted": 1})
    assert found.apparent == {"newly_asked": 1, "unchanged": 1}
    assert (found.errors, found.error_outcomes) == (2, {"allow": 1, "deny": 1})
    by_rule = {one.name: (one.newly_denied, one.newly_asked, one.newly_allowed) for one in found.by_rule}
    assert by_rule == {
        "resource.PreToolUse.vdefault#no-forbidden": (2, 0, 0),
        "resource.PreToolUse.vdefault#marketing-writes": (1, 0, 0),
        "resource.PreToolUse.vdefault#curl-asks": (0, 1, 0),
        "resource.PreToolUse.vdefault#no-make": (0, 0, 1),
        "resource.PreToolUse.vdefault#make-asks": (0, 0, 1),
        "resource.PreToolUse.vdefault": (0, 0, 0),
    }
    assert {one.name: one.newly_denied for one in found.by_tool} == {"Bash": 2, "Write": 1, "Read": 0}
    assert [(one.user, one.newly_denied, one.newly_asked) for one in found.people] == [
        ("alex", 1, 1), ("kim", 1, 0), ("mia", 1, 0)
    ]  # fmt: skip
    assert {one.id[-2:]: (one.change, one.unsure) for one in found.examples} == {
        "02": ("newly_denied", ()), "03": ("newly_denied", ()), "05": ("newly_asked", ()), "06": ("newly_allowed", ()),
        "07": ("newly_allowed", ()), "08": ("newly_denied", ()), "10": ("newly_asked", ("redacted",)), "17": ("newly_matched", ()),
    }  # fmt: skip
    assert TOKEN not in str(found)


def test_compared_with_other_policies_the_record_of_an_error_counts_and_old_decisions_do_not(
    period: list[dict[str, Any]], tmp_path: Path
) -> None:
    where, candidate = store(tmp_path, period), directory(tmp_path / "candidate", CANDIDATE)
    same = tried(where, candidate, against=candidate)
    assert same.told == same.changes["unchanged"] == 15
    assert (same.errors, same.unsure) == (0, 4)
    current = directory(tmp_path / "current", policy(rule("no-curl", 'R.attr.tool_input.command.contains("curl")')))
    found = tried(where, candidate, against=current)
    assert {name: count for name, count in found.changes.items() if count} == {
        "newly_denied": 5, "newly_asked": 1, "unchanged": 9
    }  # fmt: skip
    assert found.transitions["deny > ask"] == 1


def test_scope_version_claims_and_a_rewritten_input_are_asked_as_they_were(tmp_path: Path) -> None:
    scoped = policy(rule("acme", "true"), scope="acme")
    rewrites = (
        'name: rewrites, actions: ["Bash"], effect: EFFECT_ALLOW, roles: ["*"], condition: {match: {expr: '
        '\'R.attr.tool_input.command == "rewrite"\'}}, output: {when: {ruleActivated: \'{"hookSpecificOutput": '
        '{"permissionDecision": "allow", "updatedInput": {"command": "forbidden"}}}\'}}'
    )
    team = rule("contractors", 'P.attr.claims.?team.orValue("") == "outside"', actions="*")
    candidate = directory(
        tmp_path / "candidate", policy(rule("no", 'R.attr.tool_input.command == "forbidden"'), rewrites, team), scoped
    )
    found = tried(
        store(
            tmp_path,
            [
                asked(1, tool_input="ls", scope="acme"),
                asked(2, tool_input="ls"),
                asked(3, tool_input="rewrite"),
                asked(4, tool_input="ls", claims={"team": "outside"}),
                asked(5, tool_input="ls", changes={"policy_version": "other"}),
                asked(6, tool_input="ls", claims={"team": TOKEN}),
                {key: value for key, value in asked(7, tool_input="ls").items() if key != "asked_scope"},
            ],
        ),
        candidate,
    )
    assert {one.id[-1]: one.after for one in found.examples} == {"1": "deny", "3": "deny", "4": "deny", "5": "no_match"}
    assert found.unsure_why == {"redacted": 1, "scope": 1}
    assert found.changes["unchanged"] == 1


def test_what_no_record_holds_is_not_told_and_a_full_record_is(tmp_path: Path) -> None:
    prompts = policy(rule("no-prompt", 'R.attr.prompt.contains("forbidden")', actions="event"), kind="UserPromptSubmit")
    clock = policy(rule("night", "now().getHours() > 25", actions="*"))
    records = [
        asked(1, "", event="UserPromptSubmit", more={"prompt": "forbidden"}),
        asked(2, "", event="UserPromptSubmit", more={"prompt": "forbidden"}, level=Level.FULL),
        asked(3, "", event="UserPromptSubmit", more={"prompt": f"token {TOKEN}"}, level=Level.FULL),
        asked(4, tool_input="ls"),
    ]
    found = tried(store(tmp_path, records), directory(tmp_path / "candidate", prompts, clock))
    assert found.unsure_why == {"not_recorded": 1, "redacted": 1, "surroundings": 1}
    assert [(one.id[-1], one.after) for one in found.examples if not one.unsure] == [("2", "deny")]


def test_an_interrupted_run_goes_on_where_it_was_and_leaves_no_pdp(tmp_path: Path, short: Path) -> None:
    """The first is killed in the middle, without a chance to tidy up; the second finds what one alone would have found."""
    count = 6000
    records = (asked(number, tool_input="cat forbidden" if number % 3 == 0 else "ls") for number in range(count))
    # A hundred of them share each moment.
    where = store(tmp_path, (record | {"time": stamp(number // 100)} for number, record in enumerate(records)))
    candidate = directory(tmp_path / "candidate", CANDIDATE)
    cache = tmp_path / "cache"
    command = [
        sys.executable,
        "-m",
        "hookgate",
        "whatif",
        "--policies",
        str(candidate),
        "--store",
        str(where),
        "--json",
    ]
    outside = environment() | {
        "CERBOS_BIN": str(find_cerbos(say=print).path),
        "HOOKGATE_CACHE": str(cache),
        "TMPDIR": str(short),
    }
    first = subprocess.Popen(command, cwd=ROOT, env=outside, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    state = cache / "whatif"
    until(
        lambda: first.poll() is not None or (state.is_dir() and any(state.glob("*.json"))),
        seconds=60,
        what="some of it to be kept",
    )
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    until(lambda: not list(short.glob("hookgate-*")), seconds=30, what="the PDP to be gone with its directory")
    second = subprocess.run(
        [*command, "--fail-if", "new_denials >= 33.3%", "--fail-if", "unsure > 0"],
        cwd=ROOT,
        env=outside,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert second.returncode == 3, second.stderr.decode()
    result = json.loads(second.stdout)
    assert (result["total"], result["changes"]["newly_denied"]) == (count, count // 3)
    said = second.stderr.decode()
    assert "going on behind" in said
    assert "new_denials >= 33.3% holds" in said
    assert "unsure" not in said
    assert not list(state.glob("*.json"))


def stamp(second: int) -> str:
    return (BEGIN + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ("new_denials > 0.5%", 1, "can't be told: none of 1 requests"),
        ("told < 90%", 3, "holds"),
        ("new_denials > 5", 0, ""),
    ],
)
def test_a_share_of_nothing_is_no_pass(given: str, code: int, said: str, tmp_path: Path) -> None:
    candidate = directory(tmp_path / "candidate", policy(rule("no", 'R.attr.tool_input.command == "x"')))
    where = store(tmp_path, [asked(1, tool_input="x", level=Level.METADATA)])
    done = subprocess.run(
        [sys.executable, "-m", "hookgate", "whatif", "--policies", candidate, "--store", where, "--fail-if", given],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert said in done.stderr


def test_broken_policies_are_told_and_leave_nothing(tmp_path: Path, short: Path) -> None:
    broken = directory(tmp_path / "broken", policy(rule("no", "R.attr.((")))
    where = store(tmp_path, [asked(1)])
    done = subprocess.run(
        [sys.executable, "-m", "hookgate", "whatif", "--policies", str(broken), "--store", str(where)],
        cwd=ROOT, env=environment() | {"TMPDIR": str(short)}, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert b"the policies don't compile" in done.stderr
    assert b"Traceback" not in done.stderr
    assert not list(short.glob("hookgate-*"))


async def test_one_that_a_pdp_refuses_spoils_none_that_are_asked_with_it(tmp_path: Path) -> None:
    async with Judge(find_cerbos(say=print).path, directory(tmp_path / "candidate", CANDIDATE)) as judge:
        requests = [asked_again(asked(number, tool_input="ls"), judge.reads.of("PreToolUse")) for number in range(9)]
        found = [one for one in requests if isinstance(one, Request)]
        # Cerbos refuses the whole request for such a version.
        odd = found[4]._replace(question=replace(found[4].question, policy_version="not a version!"))
        answers = await judge.judge([*found[:4], odd, *found[5:]])
    assert [isinstance(one, GateError) for one in answers] == [number == 4 for number in range(9)]


def test_policies_that_change_while_they_are_tried_are_not_told_about(tmp_path: Path) -> None:
    candidate = directory(tmp_path / "candidate", CANDIDATE)
    where = store(tmp_path, [asked(number) for number in range(3)])

    def changed(_: int) -> None:
        (candidate / "more.yaml").write_text(policy(kind="Stop"))

    async def run() -> None:
        with closing(open_store(where)) as opened:
            trying = Trying(Trial(cerbos=find_cerbos(say=print).path, policies=candidate, wanted=Filter()))
            await trying.run(opened, changed)

    with pytest.raises(CerbosError, match="were changed while they were tried"):
        asyncio.run(run())
