"""Resource policies as the checks read them, each part with the place that it stands at."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

ANYONE = "*"
DENY = "EFFECT_DENY"


@dataclass(frozen=True, slots=True)
class Expression:
    """A CEL expression as written, and the line that it begins at."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Condition:
    """`expr`, or `all`, `any`, `none` of further ones."""

    kind: str
    expression: Expression | None = None
    of: "tuple[Condition, ...]" = ()

    def expressions(self) -> Iterator[Expression]:
        """Gives every expression in it."""
        if self.expression is not None:
            yield self.expression
        for condition in self.of:
            yield from condition.expressions()


@dataclass(frozen=True, slots=True)
class DerivedRole:
    """A role that a policy derives: from which roles, and when."""

    name: str
    parent_roles: tuple[str, ...]
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `number` counts from 1; `outputs` are those for an activated rule, `outputs_unmet` those for an unmet condition."""

    number: int
    name: str
    line: int
    actions: tuple[str, ...]
    effect: str
    roles: tuple[str, ...] = ()
    derived_roles: tuple[str, ...] = ()
    condition: Condition | None = None
    outputs: tuple[Expression, ...] = ()
    outputs_unmet: tuple[Expression, ...] = ()

    @property
    def title(self) -> str:
        """The rule's name; for one without, the one that Cerbos gives it in its outputs."""
        return self.name or f"rule-{self.number:03}"


@dataclass(frozen=True, slots=True)
class Policy:
    """One resource policy, with the variables, constants and derived roles that its expressions see."""

    file: str
    line: int
    kind: str
    rules: tuple[Rule, ...]
    version: str = "default"
    scope: str = ""
    variables: Mapping[str, Expression] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    derived_roles: Mapping[str, DerivedRole] = field(default_factory=dict)
