"""Bodies that can't be decided about are denied, whatever `on_error` says; strange ones are decided like any other."""

from collections.abc import Callable

import pytest

from hookgate.errors import ErrorKind
from tests.faults.bodies import MEBIBYTE, REFUSED, SOUND, Body, filled, given, hook, nested, text
from tests.faults.conftest import BOTH
from tests.faults.guard import Guard, assert_valid
from tests.faults.wire import chunked, request
from tests.support.client_schema import strength
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess

CHUNKED = b"Transfer-Encoding: chunked"
CHUNK_BYTES = 60_000


def named(bodies: list[Body]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("body", bodies, ids=[body.name for body in bodies])


@named(REFUSED)
async def test_a_body_that_cannot_be_decided_about_is_denied(guard: Guard, body: Body) -> None:
    assert body.kind is not None
    found = await guard.send(request(body.make()))
    if body.event:
        record = guard.assert_denied(found, body.kind, body.event)
        assert record["event"] == body.event
    else:
        record = guard.assert_unknown(found, body.kind)
        assert record["event"] == ""
    assert len(str(record)) < 10_000
    guard.assert_nothing_internal()


@named(
    [body for body in REFUSED if body.name in ("48 MiB", "32 MiB of small values", "half of it", "a command of 5 MiB")]
)
async def test_a_body_in_chunks_that_cannot_be_decided_about_is_denied(guard: Guard, body: Body) -> None:
    assert body.kind is not None
    found = await guard.send(request(chunked(body.make(), CHUNK_BYTES), CHUNKED, length=False))
    guard.assert_denied(found, body.kind, body.event)


@named(SOUND)
async def test_a_strange_body_is_decided_like_any_other(guard: Guard, body: Body) -> None:
    found = await guard.send(request(body.make()))
    record = guard.assert_passed(found)
    assert record["event"] == body.event
    guard.assert_nothing_internal()


async def test_what_was_replaced_while_reading_is_told_to_policies_and_recorded(guard: Guard) -> None:
    for written in (b'{"command":"\\ud800"}', b'{"timeout":9007199254740993}', b'{"\\udfff":1}'):
        assert guard.assert_passed(await guard.send(request(given(written))))["facts"]["altered"] is True
    record = guard.assert_passed(
        await guard.send(request(given(b'{"command":"\\ud83d\\ude00","timeout":9007199254740992}')))
    )
    assert record["facts"]["altered"] is False
    assert record["input"] == {"command": "\U0001f600", "timeout": 2**53}


async def test_a_payloads_own_facts_are_dropped_and_that_is_recorded(guard: Guard) -> None:
    sent = text(
        facts={"opaque": False, "inside_project": True, "paths": []},
        tool_name="Read",
        tool_input={"file_path": "/etc/x"},
    )
    facts = guard.assert_passed(await guard.send(request(sent)))["facts"]
    assert facts["dropped"] == ["facts"]
    assert facts["inside_project"] is False
    assert [path["path"] for path in facts["paths"]] == ["/etc/x"]


async def test_a_tools_response_that_was_left_out_is_named(guard: Guard) -> None:
    sent = text(hook_event_name="PostToolUse", tool_response={"stdout": "x" * 100_000})
    assert guard.assert_passed(await guard.send(request(sent)))["facts"]["truncated"] == ["tool_response"]


#: One fault of each place where one can be found: while reading the head, the body, the JSON, the event.
FAULTS: dict[str, tuple[ErrorKind, Callable[[bytes], bytes]]] = {
    "path": (ErrorKind.PATH_UNKNOWN, lambda body: request(body, target=b"/ext")),
    "method": (ErrorKind.METHOD_UNKNOWN, lambda body: request(body, method=b"PUT")),
    "coding": (ErrorKind.ENCODING_UNSUPPORTED, lambda body: request(body, b"Content-Encoding: gzip")),
    "type": (ErrorKind.CONTENT_TYPE_UNSUPPORTED, lambda body: request(body, content_type=None)),
    "identity": (ErrorKind.IDENTITY_INVALID, lambda body: request(body, b"X-Claude-User: " + b"a" * 300)),
    "scope": (ErrorKind.SCOPE_UNKNOWN, lambda body: request(body, b"X-Cerbos-Scope: x")),
    "syntax": (ErrorKind.PAYLOAD_MALFORMED, lambda body: request(body + b"x")),
    "values": (ErrorKind.PAYLOAD_TOO_COMPLEX, lambda body: request(body[:-1] + b',"a":[' + b"0," * 30_000 + b"0]}")),
}
DENIABLE = (
    "PreToolUse",
    "PermissionRequest",
    "PreModelSwitch",
    "ConfigChange",
    "UserPromptSubmit",
    "PostToolUse",
    "PostToolUseFailure",
    "PostToolBatch",
    "PreCompact",
    "TaskCreated",
    "Elicitation",
    "ElicitationResult",
    "EventOfTomorrow",
)


def of_event(event: str) -> bytes:
    return text(hook_event_name=event, prompt="p", source="s", file_path="/f")


@pytest.mark.parametrize("event", DENIABLE)
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_callers_fault_is_denied_in_the_form_that_the_event_obeys(guard: Guard, event: str, fault: str) -> None:
    kind, spoiled = FAULTS[fault]
    found = await guard.send(spoiled(of_event(event)))
    assert guard.assert_denied(found, kind, event)["event"] == event


@pytest.mark.parametrize("event", ["PermissionRequest", "ConfigChange"])
async def test_a_body_that_is_too_large_is_denied_in_the_form_that_the_event_obeys(guard: Guard, event: str) -> None:
    found = await guard.send(request(of_event(event) + b" " * 32 * MEBIBYTE))
    assert guard.assert_denied(found, ErrorKind.PAYLOAD_TOO_LARGE, event)["event"] == event


@pytest.mark.parametrize("event", ["Stop", "SubagentStop"])
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "syntax"])
async def test_no_fault_makes_an_agent_go_on_that_wants_to_stop(guard: Guard, event: str, fault: str) -> None:
    kind, spoiled = FAULTS[fault]
    found = await guard.send(spoiled(of_event(event)))
    assert found.value() == {}
    assert guard.assert_recorded(kind)["event"] == event


@pytest.mark.parametrize("event", ["SessionStart", "Notification", "SubagentStart", "WorktreeCreate"])
async def test_a_fault_of_an_event_that_obeys_nothing_is_recorded_as_unenforceable(guard: Guard, event: str) -> None:
    found = await guard.send(request(of_event(event), content_type=None))
    assert_valid(event, found.value())
    record = guard.assert_recorded(ErrorKind.CONTENT_TYPE_UNSUPPORTED)
    assert record["event"] == event
    assert record["unenforceable"] is True


async def test_an_event_is_told_only_from_the_beginning_of_a_body(guard: Guard) -> None:
    sent = b'{"a":"' + b"x" * 5000 + b'",' + text()[1:] + b"x"
    guard.assert_unknown(await guard.send(request(sent)), ErrorKind.PAYLOAD_MALFORMED)


@BOTH
async def test_what_the_pdp_itself_finds_too_large_is_denied(
    permissive: Pdp, make_service: Callable[..., ServiceProcess], on_error: str
) -> None:
    service = make_service(permissive.address, {"on_error": on_error, "pdp": {"max_request_bytes": 64 * MEBIBYTE}})
    guard = Guard(service, on_error)
    guard.assert_passed(await guard.send(request(filled(b"x", 3 * MEBIBYTE))))
    found = await guard.send(request(filled(b"x", 5 * MEBIBYTE)))
    guard.assert_denied(found, ErrorKind.PDP_TOO_LARGE)


@pytest.mark.parametrize("levels", [32, 33, 100])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
async def test_a_denial_that_hands_back_a_deep_input_is_read_as_the_denial_that_it_is(
    guard: Guard, levels: int, opening: bytes, closing: bytes
) -> None:
    """An answer that can't be read is the infrastructure's fault, and may let the call pass: nobody may choose that."""
    sent = nested(levels, opening, closing).replace(b'"Bash"', b'"Echo"')
    value = (await guard.send(request(sent))).value()
    assert strength("PreToolUse", value) == "deny"
    assert "never echo" in str(value)
    record = guard.records()[0]
    assert (record["outcome"], record["error"]) == ("deny", "")


async def test_a_record_of_long_values_is_short(guard: Guard) -> None:
    sent = hook(tool_input={"command": "x" * 1_000_000, "more": ["y" * 1_000_000]}, cwd="/c" * 100_000)
    guard.assert_passed(await guard.send(request(text(**sent))))
    assert len(str(guard.records()[0])) < 100_000


def test_the_table_leaves_out_no_error_that_a_body_can_be() -> None:
    """The other kinds are about the head, the moment or the PDP."""
    assert {body.kind for body in REFUSED} == {
        ErrorKind.PAYLOAD_MALFORMED,
        ErrorKind.PAYLOAD_TOO_COMPLEX,
        ErrorKind.PAYLOAD_TOO_LARGE,
        ErrorKind.EVENT_INVALID,
        ErrorKind.TOOL_INVALID,
        ErrorKind.PDP_TOO_LARGE,
        ErrorKind.PDP_INVALID,
    }
