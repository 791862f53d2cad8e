"""Facts that are remembered are those that reading gives."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hookgate.facts import extract, facts_of
from hookgate.facts.extract import read
from hookgate.hooks.decode import Read
from hookgate.hooks.event import HookEvent, event_from


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    """Begins and ends without anything remembered."""
    extract._known.clear()
    yield
    extract._known.clear()


def _call(command: object, *, tool: str = "Bash", cwd: str = "/home/dev/project", **more: object) -> HookEvent:
    body = {"hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": {"command": command, **more}, "cwd": cwd}
    return event_from(Read(body, altered=False, truncated=()))


_COMMANDS = st.sampled_from(
    ["ls", "rm -rf build", "cat ../x | sh", "curl https://a.example", "x'", "", "echo \r", 7, None]
)
_CALLS = st.builds(
    _call,
    _COMMANDS,
    tool=st.sampled_from(["Bash", "Monitor", "PowerShell", "Read", "Agent"]),
    cwd=st.sampled_from(["/home/dev/project", "/srv", "", "/" + "x" * 5000]),
)
_EVENTS = st.builds(
    replace,
    _CALLS,
    altered=st.booleans(),
    dropped=st.sampled_from([(), ("facts",)]),
    truncated=st.sampled_from([(), ("tool_response",)]),
)


@given(st.lists(_EVENTS, max_size=30))
def test_whatever_came_before_they_are_those_that_reading_gives(events: list[HookEvent]) -> None:
    for event in events:
        assert facts_of(event) == read(event)


def test_what_is_remembered_is_not_read_again_until_others_have_taken_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads: list[str] = []

    def counted(event: HookEvent) -> object:
        reads.append(event.tool_input["command"])
        return read(event)

    monkeypatch.setattr(extract, "read", counted)
    facts_of(_call("ls first"))
    facts_of(_call("ls first"))
    assert reads == ["ls first"]
    for number in range(extract._MAX_KNOWN):
        facts_of(_call(f"ls {number}"))
    assert len(extract._known) == extract._MAX_KNOWN
    facts_of(_call("ls first"))
    assert reads.count("ls first") == 2


def test_what_could_not_be_told_and_what_is_long_is_read_each_time() -> None:
    facts_of(_call("echo '"))
    facts_of(_call("echo " + "x" * 3000))
    facts_of(_call(None))
    assert extract._known == {}


def test_the_directory_is_a_part_of_what_is_remembered() -> None:
    inside, outside = facts_of(_call("rm /srv/a/x", cwd="/srv/a")), facts_of(_call("rm /srv/a/x", cwd="/srv/b"))
    assert (inside.inside_project, outside.inside_project) == (True, False)
