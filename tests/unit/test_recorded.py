"""The recorded requests that travel with the package."""

import pytest

from hookgate.hooks.catalog import EVENTS
from hookgate.recorded import Recorded, named, recorded


def test_all_recorded_requests_are_there_under_names_of_their_own() -> None:
    names = [one.name for one in recorded()]
    assert len(names) == 166
    assert names == sorted(set(names))
    assert named("PreToolUse.Bash").tool == "Bash"
    with pytest.raises(KeyError):
        named("PreToolUse.Nothing")


def test_each_recording_is_a_genuine_request_of_an_event_in_the_catalog(recording: Recorded) -> None:
    spec = EVENTS[recording.event]
    assert recording.name.split(".")[0] == recording.event
    assert spec.tool == (recording.tool is not None)
    assert {name.lower() for name in recording.headers} >= {"content-type", "user-agent", "host"}
    assert {"session_id", "transcript_path", "cwd"} <= set(recording.body)
