"""What one output of a policy says, in whichever of the spellings in use."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from hookgate.hooks.catalog import TOP_FIELDS, EventSpec, Form, Kind
from hookgate.hooks.fields import WrongTypeError, alike, checked
from hookgate.pdp.decision import Output


class Opinion(IntEnum):
    """How strict an output is. An interactive session ignores `defer`, so it counts as weaker than `ask`."""

    NONE = 0
    ALLOW = 1
    DEFER = 2
    ASK = 3
    DENY = 4


@dataclass(frozen=True, slots=True)
class Dropped:
    """A part of an output that was left out of the answer, because the client would not take it or would take it wrongly."""

    source: str
    field: str
    why: str


@dataclass(frozen=True, slots=True)
class Reading:
    """One output, read. `specific` and `top` hold the further fields that its event allows, with the right types."""

    source: str
    opinion: Opinion
    reason: str = ""
    specific: dict[str, Any] = field(default_factory=dict)
    top: dict[str, Any] = field(default_factory=dict)
    updated_input: dict[str, Any] | None = None
    #: It rewrites the input in two ways, and nobody can say which was meant: it denies, whatever it says.
    ambiguous: bool = False
    #: Of an answer to a permission prompt: `updatedPermissions` or `interrupt`.
    behavior: dict[str, Any] = field(default_factory=dict)
    #: The word itself, where the event knows more than one way to say no (`decline`, `cancel`).
    action: str = ""
    #: `continue: false`, and with which `stopReason`.
    stops: bool = False
    stop_reason: str = ""
    dropped: tuple[Dropped, ...] = ()


_WORDS = {
    "allow": Opinion.ALLOW,
    "approve": Opinion.ALLOW,
    "accept": Opinion.ALLOW,
    "ask": Opinion.ASK,
    "defer": Opinion.DEFER,
    "deny": Opinion.DENY,
    "block": Opinion.DENY,
    "decline": Opinion.DENY,
    "cancel": Opinion.DENY,
}
_TOP_OPINION = {"decision", "permissionDecision"}
_TOP_REASON = ("reason", "permissionDecisionReason")


def read(output: Output, spec: EventSpec) -> Reading:
    """Reads one output for an event; never fails: what can't be used is in `dropped`."""
    if output.error:
        return Reading(output.source, Opinion.NONE, dropped=(Dropped(output.source, "", "evaluation_error"),))
    if not isinstance(output.value, dict):
        return Reading(output.source, Opinion.NONE, dropped=(Dropped(output.source, "", "not_an_object"),))
    return _OutputReader(output.source, output.value, spec).reading()


class _OutputReader:
    """Takes one output apart, keeping account of what it leaves out."""

    def __init__(self, source: str, value: dict[str, Any], spec: EventSpec) -> None:
        self._source, self._value, self._spec = source, value, spec
        self._dropped: list[Dropped] = []
        self._opinions: list[Opinion] = []
        self._reasons: list[str] = []
        self._specific: dict[str, Any] = {}
        self._top: dict[str, Any] = {}
        self._behavior: dict[str, Any] = {}
        self._updated: dict[str, Any] | None = None
        self._ambiguous = False
        self._action = ""
        self._stops = False
        self._stop_reason = ""

    def reading(self) -> Reading:
        self._read_top()
        specific = self._value.get("hookSpecificOutput")
        if isinstance(specific, dict):
            self._read_specific(specific)
        elif "hookSpecificOutput" in self._value:
            self._drop("hookSpecificOutput", "wrong_type")
        opinion = max(self._opinions, default=Opinion.NONE)
        if self._updated is not None and opinion not in (Opinion.ALLOW, Opinion.ASK):
            self._updated = None
            self._drop("updatedInput", "without_allow_or_ask")
        return Reading(
            self._source,
            opinion,
            reason=next((reason for reason in self._reasons if reason.strip()), ""),
            specific=self._specific,
            top=self._top,
            updated_input=self._updated,
            ambiguous=self._ambiguous,
            behavior=self._behavior,
            action=self._action,
            stops=self._stops,
            stop_reason=self._stop_reason,
            dropped=tuple(self._dropped),
        )

    def _read_top(self) -> None:
        for key, value in self._value.items():
            if key in _TOP_OPINION:
                self._opinion(key, value)
            elif key in _TOP_REASON:
                self._reason(key, value)
            elif key in TOP_FIELDS:
                self._field(self._top, key, value, TOP_FIELDS[key])
            elif key == "continue":
                self._stops = value is False
                if value is not False:
                    self._drop(key, "no_effect" if value is True else "wrong_type")
            elif key == "stopReason":
                if isinstance(value, str):
                    self._stop_reason = value
                else:
                    self._drop(key, "wrong_type")
            elif key != "hookSpecificOutput":
                self._drop(key, "unknown_field")

    def _read_specific(self, specific: dict[str, Any]) -> None:
        for key, value in specific.items():
            where = f"hookSpecificOutput.{key}"
            if key == "hookEventName":
                if value != self._spec.name:
                    self._drop(where, "other_event")
            elif key == "permissionDecision":
                self._opinion(where, value)
            elif key == "permissionDecisionReason":
                self._reason(where, value)
            elif key == "decision":
                self._read_behavior(where, value)
            elif key == "action" and self._spec.form is Form.ACTION:
                self._opinion(where, value)
                self._action = value.strip().lower() if isinstance(value, str) else ""
            elif key == "updatedInput":
                self._read_updated(where, value)
            elif key in self._spec.fields:
                self._field(self._specific, key, value, self._spec.fields[key], where)
            else:
                self._drop(where, "unknown_field")

    def _read_behavior(self, where: str, value: Any) -> None:
        if not isinstance(value, dict):
            self._opinion(where, value)
            return
        for key, item in value.items():
            here = f"{where}.{key}"
            if key == "behavior":
                self._opinion(here, item)
            elif key == "message":
                self._reason(here, item)
            elif key == "updatedInput":
                self._read_updated(here, item)
            elif self._spec.form is Form.BEHAVIOR and key == "updatedPermissions":
                self._field(self._behavior, key, item, Kind.PERMISSIONS, here)
            elif self._spec.form is Form.BEHAVIOR and key == "interrupt":
                self._field(self._behavior, key, item, Kind.BOOLEAN, here)
            else:
                self._drop(here, "unknown_field")

    def _read_updated(self, where: str, value: Any) -> None:
        takes = self._spec.form is Form.BEHAVIOR or "updatedInput" in self._spec.fields
        if not takes:
            self._drop(where, "unknown_field")
            return
        try:
            updated = checked(value, Kind.OBJECT)
        except WrongTypeError:
            self._drop(where, "wrong_type")
            return
        if self._updated is not None and not alike(self._updated, updated):
            self._ambiguous = True
            self._opinions.append(Opinion.DENY)
            self._drop(where, "contradicts_itself")
            return
        self._updated = updated

    def _opinion(self, where: str, value: Any) -> None:
        opinion = _WORDS.get(value.strip().lower()) if isinstance(value, str) else None
        if opinion is None:
            self._drop(where, "no_opinion")
        elif opinion is Opinion.DEFER and not self._spec.can_defer:
            self._opinions.append(Opinion.ASK)
            self._drop(where, "no_defer")
        else:
            self._opinions.append(opinion)

    def _reason(self, where: str, value: Any) -> None:
        if isinstance(value, str):
            self._reasons.append(value)
        else:
            self._drop(where, "wrong_type")

    def _field(self, into: dict[str, Any], key: str, value: Any, kind: Kind, where: str = "") -> None:
        try:
            into[key] = checked(value, kind)
        except WrongTypeError:
            self._drop(where or key, "wrong_type")

    def _drop(self, where: str, why: str) -> None:
        self._dropped.append(Dropped(self._source, where, why))
