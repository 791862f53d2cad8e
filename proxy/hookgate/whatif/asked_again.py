"""From a record to the question that was asked, and what of it the record does not hold whole."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

import msgspec

from hookgate.facts.model import VERSION as FACTS_VERSION
from hookgate.facts.model import CommandFact, Facts, HostFact, PathFact
from hookgate.hooks.catalog import spec_of
from hookgate.hooks.event import HookEvent
from hookgate.pdp.request import Question
from hookgate.whatif.reads import Path_, Reads, touches


class Why(StrEnum):
    """Why it can't be told what policies would say."""

    #: A part that policies read was redacted, or may have been.
    REDACTED = "redacted"
    #: A part that policies read was cut, or left out for its size.
    CUT = "cut"
    #: Only metadata of it was recorded, and policies read more.
    METADATA = "metadata"
    #: Policies read what no record of this level holds, such as a prompt or what a tool answered.
    NOT_RECORDED = "not_recorded"
    #: Facts of another version mean something else.
    FACTS_VERSION = "facts_version"
    #: The record does not tell in which scope was asked.
    SCOPE = "scope"
    #: Policies read the time, a token or the PDP's own globals.
    SURROUNDINGS = "surroundings"
    #: It failed before the request was understood, or the record can't be read.
    NO_REQUEST = "no_request"
    #: The PDP of the what-if gave no answer to it.
    NO_ANSWER = "no_answer"


class Request(NamedTuple):
    """A record's request, to be asked again. `gaps`: why not all of it is known; what policies then say tells nothing for sure,
    and is asked for redacted and cut ones only."""

    event: HookEvent
    question: Question
    gaps: tuple[Why, ...]


#: Attributes of a payload that have a field in the record.
_TEXTS = (
    "session_id",
    "prompt_id",
    "tool_use_id",
    "agent_id",
    "agent_type",
    "permission_mode",
    "cwd",
    "transcript_path",
)
_RECORDED = frozenset((*_TEXTS, "hook_event_name", "tool_name", "tool_input", "facts", "mcp_server", "mcp_server_name"))
#: These are in no record, whatever its level.
_NEVER = frozenset({"effort", "duration_ms", "is_interrupt"})
_MARKED = re.compile(r"\[redacted:[a-z_]+(?::[0-9a-f]+)?\]")
_CUT = re.compile(r"… \(cut, \d+ characters, [0-9a-f]+\)$")
_LEFT_OUT = "(left out)"
#: In the place of a character that the redactor itself uses for marks.
_UNKNOWN = "\ufffd"
#: What of an MCP server is recorded.
_OF_SERVER = (("name",), ("source",))
_IDS = ("session_id", "prompt_id", "tool_use_id", "user", "roles", "event", "tool")
#: What of each kind of entry policies can rely on.
_ENTRIES: Mapping[str, frozenset[str]] = {
    "paths": frozenset(PathFact.__struct_fields__),
    "hosts": frozenset(HostFact.__struct_fields__),
    "commands": frozenset(CommandFact.__struct_fields__),
}
_FACTS = frozenset(Facts.__struct_fields__)


@dataclass(frozen=True, slots=True)
class _Gap:
    path: Path_
    why: Why


def asked_again(record: Mapping[str, Any], reads: Reads) -> Request | Why:
    """Gives the question of a decision's record, as policies that read so much of it would be asked; or why there is none."""
    try:
        return _asked_again(record, reads)
    except (KeyError, TypeError, ValueError, AttributeError, msgspec.ValidationError):
        return Why.NO_REQUEST


def _asked_again(record: Mapping[str, Any], reads: Reads) -> Request | Why:
    name, tool, user, roles = record["event"], record.get("tool", ""), record.get("user", ""), record.get("roles")
    if not name or not user or not roles or not record.get("source"):
        return Why.NO_REQUEST
    spec = spec_of(name)
    if spec.tool and not tool:
        return Why.NO_REQUEST
    facts, level = record.get("facts") or {}, record.get("level", "redacted")
    if not facts and level != "metadata":
        # It failed before anybody had looked at the call.
        return Why.NO_REQUEST
    payload: dict[str, Any] = {**(record.get("content") or {}), "hook_event_name": name}
    payload |= {key: record[key] for key in _TEXTS if record.get(key)}
    if tool:
        payload |= {"tool_name": tool, "tool_input": record.get("input") or {}}
    if record.get("mcp_server"):
        payload["mcp_server"] = {"name": record["mcp_server"], "source": record.get("mcp_source", "")}
    event = HookEvent(
        name=name,
        spec=spec,
        payload=payload,
        tool=tool,
        **{key: record.get(key, "") for key in _TEXTS if key != "transcript_path"},
    )
    attributes = record.get("attributes") or {}
    question = Question(
        request_id="",
        kind=name,
        resource_id=event.tool_use_id or event.prompt_id or event.session_id or record["id"],
        action=event.action,
        attributes={**payload, "facts": facts},
        principal_id=user,
        roles=tuple(roles),
        principal_attributes={
            "verified": record.get("verified", False),
            "source": record["source"],
            "claims": attributes.get("claims") or {},
            "groups": attributes.get("groups") or [],
            "attributes": attributes.get("attributes") or {},
        },
        policy_version=record.get("policy_version", ""),
        scope=record.get("asked_scope", ""),
    )
    gaps = {gap.why for gap in _request_gaps(record) if not gap.path or touches(reads.resource, gap.path)}
    gaps |= {
        gap.why
        for gap in _marks(attributes, (), named="attributes" in record.get("cut", ()))
        if touches(reads.principal, gap.path)
    }
    if reads.unrecorded:
        gaps.add(Why.SURROUNDINGS)
    if record.get("mcp_server") and any(
        read[:1] == ("mcp_server",) and read[1:2] not in _OF_SERVER for read in reads.resource
    ):
        gaps.add(Why.NOT_RECORDED)
    if level != "full" or () in reads.resource:
        gaps |= {Why.NOT_RECORDED} if _unrecorded(reads) else set()
    elif any(read[0] in _NEVER for read in reads.resource if read):
        gaps.add(Why.NOT_RECORDED)
    return Request(event, question, tuple(sorted(gaps)))


def _request_gaps(record: Mapping[str, Any]) -> Iterator[_Gap]:
    cut = record.get("cut") or ()
    if "asked_scope" not in record:
        yield _Gap((), Why.SCOPE)
    for field in _IDS:
        # Who asked about what is always read.
        yield from (_Gap((), gap.why) for gap in _marks(record.get(field), (), named=field in cut))
    if record.get("mcp_server"):
        yield from _server_gaps(record, cut)
    for field in ("agent_id", "agent_type", "permission_mode", "cwd", "transcript_path"):
        yield from _marks(record.get(field), (field,), named=field in cut)
    yield from _marks(record.get("content"), (), named="content" in cut)
    if record.get("level") == "metadata":
        # What has no tool has no input.
        yield from (_Gap((name,), Why.METADATA) for name in ("tool_input", "facts"))
        return
    yield from _marks(record.get("input"), ("tool_input",), named="input" in cut)
    facts = record.get("facts") or {}
    yield from _marks(facts, ("facts",), named="facts" in cut)
    if facts.get("version") != FACTS_VERSION:
        yield _Gap(("facts",), Why.FACTS_VERSION)
    yield from (_Gap(("facts", name), Why.FACTS_VERSION) for name in _FACTS - facts.keys())
    for name, fields in _ENTRIES.items():
        if any(fields - entry.keys() for entry in facts.get(name, ())):
            yield _Gap(("facts", name), Why.FACTS_VERSION)


def _server_gaps(record: Mapping[str, Any], cut: Collection[str]) -> Iterator[_Gap]:
    """The client tells an MCP server by its name, or by an object, of which a record has name and source only."""
    if not record.get("mcp_source"):
        yield from (_Gap((name,), Why.NOT_RECORDED) for name in ("mcp_server", "mcp_server_name"))
    for field, name in (("mcp_server", "name"), ("mcp_source", "source")):
        yield from _marks(record.get(field), ("mcp_server", name), named=field in cut)


def _marks(value: Any, path: Path_, *, named: bool) -> Iterator[_Gap]:
    """Gives where something was redacted, cut or left out. What the record names as cut counts whole where no mark shows it."""
    found = list(_marked(value, path)) if value else []
    yield from found
    if named and not any(gap.why is Why.CUT for gap in found):
        yield _Gap(path, Why.CUT)


def _marked(value: Any, path: Path_) -> Iterator[_Gap]:
    if isinstance(value, str):
        if (why := _of_text(value)) is not None:
            yield _Gap(path, why)
    elif isinstance(value, dict):
        for key, item in value.items():
            if (why := _of_text(key)) is not None:
                # Which name stood there can't be told, so that it may be any.
                yield _Gap(path, why)
            yield from _marked(item, (*path, key))
    elif isinstance(value, list):
        for item in value:
            yield from (_Gap(path, gap.why) for gap in _marked(item, path))


def _of_text(text: str) -> Why | None:
    if text.isascii():
        if "[redacted:" in text and _MARKED.search(text):
            return Why.REDACTED
        return Why.CUT if text == _LEFT_OUT else None
    if _MARKED.search(text) or _UNKNOWN in text:
        return Why.REDACTED
    return Why.CUT if _CUT.search(text) else None


@cache
def _unrecorded(reads: Reads) -> bool:
    return any(not read or read[0] not in _RECORDED for read in reads.resource)
