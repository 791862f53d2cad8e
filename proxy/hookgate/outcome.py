"""What became of a hook request, and whether the answer binds."""

from enum import StrEnum


class Outcome(StrEnum):
    """The result of one decision, as recorded, counted and logged."""

    ALLOW = "allow"
    DENY = "deny"
    ASK = "ask"
    #: The client's own `defer`: a `-p` run ends and can be resumed; an interactive session ignores it.
    DEFER = "defer"
    #: No policy speaks about this kind of event.
    NO_MATCH = "no_match"
    #: No decision could be made; the record's `error` names the kind.
    ERROR = "error"


class Mode(StrEnum):
    """Whether the client is told what was decided."""

    ENFORCE = "enforce"
    #: Answers `{}`, and records what `enforce` would have answered.
    OBSERVE = "observe"


class Fallback(StrEnum):
    """What to answer where no policy decided: the values of `on_error` and `no_match`."""

    PASS = "pass"  # noqa: S105 (no password)
    ASK = "ask"
    DENY = "deny"
