"""Digests, sizes and endings: what a record says of a payload that it does not hold."""

import asyncio
import hashlib
import hmac
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hookgate.audit.digest import Digests, Purpose, canonical
from hookgate.audit.key import FILE_NAME
from hookgate.audit.payload import Ending, content_of, ending_of, mcp_server_of, response_in, sums_of
from hookgate.commands import app
from hookgate.hooks.decode import Read, Reader
from hookgate.hooks.event import HookEvent, event_from
from hookgate.recorded import Recorded
from tests.conftest import payload
from tests.unit.test_gate import Stage

KEY = b"k" * 32
DIGESTS = Digests(KEY)


def event(body: dict[str, Any]) -> HookEvent:
    return event_from(Read(body, altered=False, truncated=()))


def test_a_digest_can_be_made_without_hookgate_and_serves_one_purpose_only() -> None:
    inner = hmac.new(KEY, b"hookgate body v1", hashlib.sha256).digest()
    assert DIGESTS.of(Purpose.BODY, b"x") == hmac.new(inner, b"x", hashlib.sha256).hexdigest()
    assert len({DIGESTS.of(purpose, b"x") for purpose in Purpose}) == len(Purpose)
    assert Digests(b"q" * 32).of(Purpose.BODY, b"x") != DIGESTS.of(Purpose.BODY, b"x")


def test_canonical_json_does_not_depend_on_the_order_of_members() -> None:
    assert canonical({"b": [1, {"d": 1, "c": 2.5}], "a": "ü"}) == '{"a":"ü","b":[1,{"c":2.5,"d":1}]}'.encode()


async def test_a_response_has_the_same_digest_whether_its_body_was_searched_or_not() -> None:
    reader = Reader(values=20_000, cut_bytes=1000, whole_bytes=10_000_000)
    small, large = {"stdout": "x"}, {"stdout": "y" * 200_000}
    for response in (small, large):
        given = json.dumps(response)
        body = json.dumps(payload("PostToolUse.Bash", tool_response=0)).replace(
            '"tool_response": 0', f'"tool_response": \n {given} \t'
        )
        read = await reader.read(body.encode())
        found = response_in(body.encode(), event_from(read), read.response)
        assert bytes(found).decode() == given
        assert (read.response is not None) == (response is large)
        sums = sums_of(event_from(read), DIGESTS, body_digest="", response=found)
        assert sums.response_bytes == sums.content_bytes["tool_response"] == len(given)
        assert sums.response_digest == DIGESTS.of(Purpose.RESPONSE, given.encode())


def test_a_failures_response_is_its_error_and_other_events_have_none() -> None:
    body = payload("PostToolUseFailure.Bash")
    raw = json.dumps(body).encode()
    assert json.loads(bytes(response_in(raw, event(body), None))) == body["error"]
    assert len(response_in(raw, event(payload("PreToolUse.Bash")), None)) == 0


def test_a_response_that_another_reader_would_not_take_still_has_a_digest() -> None:
    body = payload("PostToolUse.Bash", tool_response={"a": 1})
    assert json.loads(bytes(response_in(b"not json", event(body), None))) == {"a": 1}


@pytest.mark.parametrize(
    ("name", "changes", "ending"),
    [
        ("PreToolUse.Bash", {"duration_ms": 5}, Ending()),
        ("PostToolUse.Bash", {"duration_ms": 1500}, Ending(failed=False, ran_seconds=1.5)),
        ("PostToolUse.Bash", {"duration_ms": "5"}, Ending(failed=False)),
        ("PostToolUse.Bash", {"duration_ms": True}, Ending(failed=False)),
        ("PostToolUse.Bash", {"duration_ms": -1}, Ending(failed=False)),
        (
            "PostToolUse.Bash",
            {"duration_ms": 0, "tool_response": {"interrupted": True}},
            Ending(failed=False, interrupted=True, ran_seconds=0.0),
        ),
        (
            "PostToolUseFailure.Bash",
            {"duration_ms": 1, "is_interrupt": True},
            Ending(failed=True, interrupted=True, ran_seconds=0.001),
        ),
    ],
)
def test_how_a_call_ended_is_what_the_client_tells(name: str, changes: dict[str, Any], ending: Ending) -> None:
    assert ending_of(event(payload(name, **changes))) == ending


def test_the_mcp_server_is_the_one_that_the_client_names() -> None:
    assert mcp_server_of(event(payload("PreToolUse.mcp__demo__echo"))) == ("demo", "project")
    assert mcp_server_of(event(payload("Elicitation")))[0] == payload("Elicitation")["mcp_server_name"]
    assert mcp_server_of(event(payload("PreToolUse.Bash", mcp_server={"name": 5}))) == ("", "")
    assert mcp_server_of(event(payload("PreToolUse.Bash"))) == ("", "")


def test_nothing_of_a_payload_is_neither_recorded_nor_counted(recording: Recorded) -> None:
    found = event(recording.body)
    raw = json.dumps(recording.body).encode()
    sums = sums_of(found, DIGESTS, body_digest="", response=response_in(raw, found, None))
    content = content_of(found)
    sized = {name for name, value in content.items() if isinstance(value, str | list | dict)}
    assert set(sums.content_bytes) == sized
    assert bool(sums.input_digest) == ("tool_input" in recording.body)


def test_calls_of_a_batch_are_bounded_and_what_is_none_is_passed_over() -> None:
    calls: list[Any] = [{"tool_name": "Bash", "tool_use_id": f"t{n}", "tool_input": {"n": n}} for n in range(300)]
    sums = sums_of(
        event(payload("PostToolBatch", tool_calls=["x", {"tool_name": 5}, *calls])),
        DIGESTS,
        body_digest="",
        response=memoryview(b""),
    )
    assert len(sums.calls) == 256
    assert sums.calls[0] == type(sums.calls[0])("", "", DIGESTS.of_json(Purpose.INPUT, {}))
    assert sums.calls[1].input_digest == DIGESTS.of_json(Purpose.INPUT, {"n": 0})
    odd = event(payload("PostToolBatch", tool_calls="none"))
    assert sums_of(odd, DIGESTS, body_digest="", response=memoryview(b"")).calls == ()


async def test_a_large_body_and_a_large_response_are_digested_by_another_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage()
    threads: dict[Purpose, bool] = {}
    made = Digests.of

    def watched(digests: Digests, purpose: Purpose, content: bytes) -> str:
        threads[purpose] = threading.current_thread() is threading.main_thread()
        return made(digests, purpose, content)

    monkeypatch.setattr(Digests, "of", watched)
    await stage.answer(payload("PostToolUse.Bash", tool_response={"stdout": "x" * 2_000_000}))
    assert (threads[Purpose.BODY], threads[Purpose.RESPONSE]) == (False, False)
    assert stage.record["response_bytes"] > 2_000_000
    assert "tool_response" in stage.record["cut"]
    await stage.answer(payload("PreToolUse.Bash"))
    assert threads[Purpose.BODY] is True


async def test_a_digest_that_is_not_done_in_time_is_made_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(config={"decision": {"deadline_seconds": 0.3}})
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "run_in_executor", lambda *arguments: loop.create_future())
    body = json.dumps(payload("PostToolUse.Bash", tool_response={"stdout": "x" * 300_000})).encode()
    await stage.answer(body)
    assert stage.record["body_digest"] == stage.gate._recorder._digests.of(Purpose.BODY, body)


async def test_the_body_of_a_broken_request_has_a_digest_too() -> None:
    stage = Stage()
    await stage.answer(b'{"hook_event_name": "PreToolUse", ')
    assert stage.record["error"] == "payload_malformed"
    digests = stage.gate._recorder._digests
    assert stage.record["body_digest"] == digests.of(Purpose.BODY, b'{"hook_event_name": "PreToolUse", ')


class TestCommand:
    @pytest.fixture
    def journal(self, tmp_path: Path) -> Path:
        (tmp_path / FILE_NAME).write_bytes(KEY)
        return tmp_path

    @pytest.mark.parametrize(
        ("kind", "content", "digest"),
        [
            ("secret", b"hunter2\n", DIGESTS.of(Purpose.SECRET, b"hunter2")[:12]),
            ("text", b"long text\r\n", DIGESTS.of(Purpose.TEXT, b"long text")[:32]),
            ("body", b"{}\n", DIGESTS.of(Purpose.BODY, b"{}\n")),
            ("response", b'"x"', DIGESTS.of(Purpose.RESPONSE, b'"x"')),
            (
                "input",
                b'{"b": 9007199254740993,\n "a": "\\ud800"}',
                DIGESTS.of_json(Purpose.INPUT, {"a": "�", "b": 2.0**53}),
            ),
        ],
    )
    def test_prints_what_records_have(self, journal: Path, kind: str, content: bytes, digest: str) -> None:
        (journal / "suspect").write_bytes(content)
        for file, given in (("-", content), (str(journal / "suspect"), b"")):
            result = CliRunner().invoke(app, ["audit", "digest", file, str(journal), "--kind", kind], input=given)
            assert (result.exit_code, result.output) == (0, digest + "\n")

    def test_says_in_one_line_what_is_wrong(self, journal: Path, tmp_path: Path) -> None:
        def told(*arguments: str) -> str:
            result = CliRunner().invoke(app, ["audit", "digest", *arguments], input=b"[1]")
            assert result.exit_code == 1
            return result.output.strip()

        (tmp_path / "empty").mkdir()
        assert told("-", str(tmp_path / "empty")).endswith("redaction.key: No such file or directory")
        assert told(str(tmp_path / "none"), str(journal)).endswith("none: No such file or directory")
        assert "no tool input in JSON" in told("-", str(journal), "--kind", "input")
