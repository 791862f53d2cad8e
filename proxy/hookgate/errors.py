"""The kinds of failure: one enumeration for log, metric, record and documentation."""

from enum import StrEnum
from typing import Self


class Side(StrEnum):
    """Who can bring a failure about, which decides what it may be answered with."""

    #: The caller alone: always denied, whatever `on_error` says. Otherwise the caller could pick an error and be let through.
    CALLER = "caller"
    #: A caller can bring it about by load or by a payload that hits a fault of ours: `on_error`, but never below `ask`.
    LOAD = "load"
    #: Only the operator's own parts: `on_error` decides.
    INFRASTRUCTURE = "infrastructure"


class ErrorKind(StrEnum):
    """Why no decision could be made. `side` and `meaning` say who is at fault and what to do."""

    def __new__(cls, value: str, side: Side = Side.CALLER, meaning: str = "") -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.side = side
        member.meaning = meaning
        return member

    side: Side
    meaning: str

    REQUEST_MALFORMED = "request_malformed", Side.CALLER, "The HTTP request could not be read (framing or headers)."
    REQUEST_FOREIGN = (
        "request_foreign",
        Side.CALLER,
        "A web page sent the request, or it names a host that is not ours.",
    )
    PATH_UNKNOWN = "path_unknown", Side.CALLER, "The hook was sent to a path that Hookgate does not serve."
    METHOD_UNKNOWN = "method_unknown", Side.CALLER, "Hooks are sent by POST."
    CONTENT_TYPE_UNSUPPORTED = "content_type_unsupported", Side.CALLER, "The body is not declared as application/json."
    ENCODING_UNSUPPORTED = "encoding_unsupported", Side.CALLER, "The body is compressed; Claude Code sends it plain."
    BODY_INCOMPLETE = "body_incomplete", Side.CALLER, "The body ended early, was framed badly or came too slowly."
    PAYLOAD_TOO_LARGE = "payload_too_large", Side.CALLER, "The body is larger than limits.body_bytes."
    PAYLOAD_TOO_COMPLEX = "payload_too_complex", Side.CALLER, "The body holds more JSON values than limits.values."
    PAYLOAD_MALFORMED = "payload_malformed", Side.CALLER, "The body is not the JSON object that the client sends."
    EVENT_INVALID = "event_invalid", Side.CALLER, "hook_event_name is missing or is no name."
    TOOL_INVALID = "tool_invalid", Side.CALLER, "tool_name or tool_input is missing or of the wrong type."
    SCOPE_UNKNOWN = "scope_unknown", Side.CALLER, "X-Cerbos-Scope names a scope that is not in pdp.scopes."
    IDENTITY_INVALID = "identity_invalid", Side.CALLER, "A credential or identity header is there but not valid."
    IDENTITY_REQUIRED = (
        "identity_required",
        Side.CALLER,
        "Nothing verifies the user, and identity.require_verified or the list of sources demands it.",
    )
    # The caller's, too: who picks the token picks the issuer and the key that are asked for.
    IDENTITY_UNAVAILABLE = (
        "identity_unavailable",
        Side.CALLER,
        "A credential can't be checked: its issuer's keys can't be had.",
    )
    PDP_TOO_LARGE = "pdp_too_large", Side.CALLER, "The request is larger than the PDP accepts."
    PDP_INVALID = "pdp_invalid", Side.CALLER, "The PDP refused the request as invalid."
    OVERLOADED = "overloaded", Side.LOAD, "No free slot for a decision within the deadline."
    DEADLINE_EXCEEDED = "deadline_exceeded", Side.LOAD, "The decision took longer than decision.deadline_seconds."
    PDP_TIMEOUT = "pdp_timeout", Side.LOAD, "The PDP did not answer in time."
    INTERNAL = "internal", Side.LOAD, "A fault in Hookgate itself; the log has the traceback."
    PDP_UNAVAILABLE = "pdp_unavailable", Side.INFRASTRUCTURE, "The PDP could not be reached."
    PDP_REFUSED = "pdp_refused", Side.INFRASTRUCTURE, "The PDP answered with a gRPC error."
    PDP_NONSENSE = "pdp_nonsense", Side.INFRASTRUCTURE, "The PDP's answer does not fit the question."
    POLICY_MISSING = "policy_missing", Side.INFRASTRUCTURE, "A kind in pdp.required_kinds has no policy."
    CANARY_WRONG = (
        "canary_wrong",
        Side.INFRASTRUCTURE,
        "The PDP answers the canary wrongly: its decisions can't be trusted.",
    )
    AUDIT_UNAVAILABLE = "audit_unavailable", Side.INFRASTRUCTURE, "The record could not be written."


class GateError(Exception):
    """No decision can be made.

    `kind` names why; `detail` is for the log and the record (never for the client), one line, no tool input;
    `hint` is added to the reason that the client shows, and says what to do.
    """

    def __init__(self, kind: ErrorKind, detail: str = "", *, hint: str = "") -> None:
        super().__init__(f"{kind.value}: {detail}" if detail else kind.value)
        self.kind = kind
        self.detail = detail
        self.hint = hint
