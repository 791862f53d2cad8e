"""What the checks find."""

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """The things that bite."""

    #: A rule reads what some of its actions lack.
    MISSING_ATTRIBUTE = "missing_attribute"
    #: A DENY that names a role: a second role escapes it.
    ROLE_NAMED_DENY = "role_named_deny"
    #: An output that says something else than its rule's effect.
    OUTPUT_CONTRADICTS_EFFECT = "output_contradicts_effect"
    #: An output, or a part of one, that the event does not take.
    OUTPUT_NOT_ACCEPTED = "output_not_accepted"
    #: A pattern in a DENY that ends at a line break.
    PATTERN_STOPS_AT_LINE = "pattern_stops_at_line"
    #: A DENY whose wildcard does not cross the colon that a tool's name may have.
    WILDCARD_STOPS_AT_COLON = "wildcard_stops_at_colon"
    #: A resource that is nearly, but not quite, an event.
    UNKNOWN_EVENT = "unknown_event"
    #: An action that the event does not have.
    UNKNOWN_ACTION = "unknown_action"
    #: An expression that could not be read here.
    NOT_READ = "not_read"
    #: Nothing in the directory speaks about any event.
    NO_POLICY = "no_policy"


class Finding(msgspec.Struct, frozen=True):
    """One warning: where, what happens, and what to do about it."""

    kind: Kind
    #: Below the directory that was checked.
    file: str
    line: int
    #: The rule's name, or the one that Cerbos gives it; empty for the policy as a whole.
    rule: str
    message: str
    mend: str
