"""What the canary found."""

from dataclasses import dataclass
from enum import StrEnum


class CanaryState(StrEnum):
    """What the last round found."""

    UNKNOWN = "unknown"
    OK = "ok"
    #: The PDP has no canary policy.
    ABSENT = "absent"
    WRONG = "wrong"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Findings:
    """One round. `strict`: whether the PDP evaluates strictly; None if that could not be told. `policies`: which version of the
    policies it evaluates, as its canary policy says; empty where that says nothing."""

    state: CanaryState
    faults: tuple[str, ...] = ()
    strict: bool | None = None
    policies: str = ""
