"""What the PDP said."""

from enum import StrEnum
from typing import Any

import msgspec


class Effect(StrEnum):
    """Cerbos's effect for the action asked about."""

    ALLOW = "EFFECT_ALLOW"
    DENY = "EFFECT_DENY"


class Output(msgspec.Struct, frozen=True):
    """The output of one activated rule: not of the winning one only, so it may contradict the effect.

    `source` is Cerbos's `src` (policy and rule); `value` is JSON, its numbers doubles; `error` is set where the
    expression failed, and then there is no value.
    """

    source: str
    value: Any = None
    error: str = ""


class Decision(msgspec.Struct, frozen=True):
    """One answer of the PDP. `policy` and `scope` name what matched; `no_match` says that no policy exists for the kind."""

    effect: Effect
    policy: str = ""
    scope: str = ""
    no_match: bool = False
    outputs: tuple[Output, ...] = ()
    call_id: str = ""
    derived_roles: tuple[str, ...] = ()
    validation_errors: tuple[str, ...] = ()
    seconds: float = 0.0
