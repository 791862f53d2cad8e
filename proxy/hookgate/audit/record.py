"""One record a request, and records of what happens to the service itself."""

import socket
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec

#: Raised when a field changes its meaning or goes away; new fields don't raise it.
VERSION = 1


class Origin(msgspec.Struct, frozen=True):
    """Where records come from: the journal's own id, and the name of the machine."""

    instance: str = ""
    host: str = ""


class OutputRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """An output of a policy's rule, with the rule that it comes from."""

    source: str
    value: Any = None
    error: str = ""


class DroppedRecord(msgspec.Struct, frozen=True):
    """A field of an output that was left out of the answer, and why."""

    source: str
    field: str
    why: str


class CallRecord(msgspec.Struct, frozen=True):
    """One call of a PostToolBatch. `input_digest` is made as that of a decision."""

    tool: str
    tool_use_id: str
    input_digest: str


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One hook request: who, what, why, the answer, how long. Seconds are wall time; times UTC with microseconds."""

    #: Raised when a field changes its meaning or goes away.
    version: int = VERSION
    #: `decision`; records about the service itself have another type.
    type: str = "decision"
    #: UUIDv7; the decision id that the answer's reason carries.
    id: str
    #: When the record was made, just before the answer left.
    time: str
    #: The journal's own id, as in its first line.
    instance: str = ""
    #: The name of the machine that Hookgate runs on.
    host: str = ""
    #: `allow`, `deny`, `ask`, `defer`, `no_match` or `error`.
    outcome: str
    #: `enforce`, or `observe`: then `answer` is `{}` and `would_answer` what enforcing would have said.
    mode: str
    #: The principal id that Cerbos was asked about.
    user: str = ""
    #: Its roles.
    roles: tuple[str, ...] = ()
    #: Where the identity comes from: `peer`, `mtls`, `jwt`, `token`, `header` or `default`.
    source: str = ""
    #: Whether anything vouches for the identity; nothing does for `header` and `default`.
    verified: bool = False
    #: Whom X-Claude-User named, where that is somebody else than the verified user.
    claimed_user: str = ""
    #: What else is known of the principal: `groups`, `claims`, and `attributes` from the directory; empty ones are left out.
    attributes: dict[str, Any] = {}
    #: What the client said in `X-Claude-Label-NAME` headers: 16 at most, of at most 256 characters. Nothing vouches for them.
    labels: dict[str, str] = {}
    #: The address that the request came from.
    remote: str = ""
    #: The number of the operating system's user at the other end of a connection on this machine, where the system tells.
    peer: str = ""
    #: `hook_event_name`; empty where not even that could be read.
    event: str = ""
    #: `tool_name`; empty for an event without a tool.
    tool: str = ""
    #: The client's session; a subagent's calls bear that of the main one.
    session_id: str = ""
    #: The prompt that led to the call.
    prompt_id: str = ""
    #: The call: joins PreToolUse with PostToolUse. PermissionRequest has none.
    tool_use_id: str = ""
    #: The subagent that makes the call; empty on the main thread.
    agent_id: str = ""
    #: Its type.
    agent_type: str = ""
    #: The client's permission mode.
    permission_mode: str = ""
    #: The session's working directory.
    cwd: str = ""
    #: The client's own record of the session, on its machine.
    transcript_path: str = ""
    #: The MCP server that the call goes to, where the client tells it, and where its settings come from.
    mcp_server: str = ""
    #: `project`, `dynamic`, …: who brought that server.
    mcp_source: str = ""
    #: How much is recorded: `metadata`, `redacted` or `full`.
    level: str = "redacted"
    #: The tool's input, without secrets, its long strings cut.
    input: dict[str, Any] = {}
    #: Keyed digest of the tool's input as the client sent it: joins the requests about a call. Empty without a tool.
    input_digest: str = ""
    #: The same of the input that a policy put in its place; empty where none did.
    changed_digest: str = ""
    #: The facts that policies were given, their long strings cut.
    facts: dict[str, Any] = {}
    #: Size of the request's body as far as it was kept.
    body_bytes: int = 0
    #: Keyed digest of the body as far as it was kept.
    body_digest: str = ""
    #: The rest of the payload (prompt, assistant's text, tool response, …), at level `full` only.
    content: dict[str, Any] = {}
    #: How large each part of it was, in bytes, at every level.
    content_bytes: dict[str, int] = {}
    #: Size of what the tool gave back (`tool_response`, or `error` of a failure), as JSON.
    response_bytes: int = 0
    #: Keyed digest of that JSON as it stood in the body; empty where there is none.
    response_digest: str = ""
    #: Whether the call failed: false after PostToolUse, true after PostToolUseFailure, null for other events.
    failed: bool | None = None
    #: Whether a person interrupted it.
    interrupted: bool = False
    #: How long the tool ran, as the client tells it; null where it does not.
    ran_seconds: float | None = None
    #: The calls of a PostToolBatch, 256 at most; denied and invalid ones are among them.
    calls: tuple[CallRecord, ...] = ()
    #: Fields of this record, and parts of the payload, that were cut or left out in part, whatever the level.
    cut: tuple[str, ...] = ()
    #: Cerbos's effect, `EFFECT_ALLOW` or `EFFECT_DENY`; empty without an answer or a policy.
    effect: str = ""
    #: The policy that matched; `NO_MATCH` where none exists for the event.
    policy: str = ""
    #: The policy version that was asked for.
    policy_version: str = ""
    #: The scope that was asked for; the one that matched may be a wider one.
    asked_scope: str = ""
    #: The scope that matched.
    scope: str = ""
    #: Every output of every rule that fired, with its rule, their long strings cut.
    outputs: tuple[OutputRecord, ...] = ()
    #: Fields of outputs that were left out of the answer, each with why.
    dropped: tuple[DroppedRecord, ...] = ()
    #: Sources of outputs that disagree with the effect.
    contradictions: tuple[str, ...] = ()
    #: The reason, without the decision id that the client is sent with it.
    reason: str = ""
    #: The error kind, where no decision could be made.
    error: str = ""
    #: More about the error; never sent to the client.
    error_detail: str = ""
    #: The PDP's id of the call: it joins this record with the PDP's own logs.
    call_id: str = ""
    #: The answer as sent.
    answer: dict[str, Any] = {}
    #: With `observe`: what would have been answered; null otherwise.
    would_answer: dict[str, Any] | None = None
    #: It was to be denied, and the client obeys no denial of this event.
    unenforceable: bool = False
    #: How long the PDP was waited for.
    pdp_seconds: float = 0.0
    #: From headers received to the answer, without the writing of this record.
    total_seconds: float = 0.0


class ServiceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to the service: `start`, `config_changed`, `config_refused`, `tls_refused`, `stop`, `canary`, `policy_lost`, `undelivered`,
    `answer`, `executed_differs`, `enforcement_violated`, `unasked`, `retention`, `shipper_refused`, `shipper_skipped`,
    `shipper_restarted`, `console_login`, `console_logout`, `console_refused`, `console_viewed`, `console_taken`, `fleet_code`, `fleet_enrolled`, `fleet_revoked`, `fleet_finding`; or to the journal: `chain_start`, `key_changed`, `journal_repair`, `gap`, `checkpoint`.

    `answer` follows a decision's record that could be written too late: its `id` names the decision, `answer` what was sent.
    """

    version: int = VERSION
    type: str
    id: str
    time: str
    instance: str = ""
    host: str = ""
    detail: dict[str, Any] = {}


def now() -> str:
    """Gives the time in UTC with microseconds (RFC 3339)."""
    # A third of what strftime takes.
    return datetime.now(UTC).isoformat(timespec="microseconds")[: -len("+00:00")] + "Z"


@cache
def hostname() -> str:
    """Gives the name of this machine."""
    return socket.gethostname()
