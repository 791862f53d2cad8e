"""A bound on what may change: `new_denials > 0.5%`. Where it holds, a review is to fail."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from hookgate.whatif.change import Change
from hookgate.whatif.model import Result

_OPERATORS: Mapping[str, Callable[[Fraction, Fraction], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_FORM = re.compile(r"\s*([a-z_]+)\s*(>=|<=|==|!=|>|<)\s*([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*(%?)\s*")
_CHANGES = {
    "new_denials": Change.NEWLY_DENIED,
    "new_asks": Change.NEWLY_ASKED,
    "new_allows": Change.NEWLY_ALLOWED,
    "new_matches": Change.NEWLY_MATCHED,
    "new_no_matches": Change.NEWLY_UNMATCHED,
}
#: Names; a percentage is one of what can be told, but for the last three: of all requests.
NAMES = (*_CHANGES, "changed", "told", "unsure", "errors")
_OF_ALL = {"told", "unsure", "errors"}


class BoundError(ValueError):
    """No bound; one line that says what is understood."""


@dataclass(frozen=True, slots=True)
class Bound:
    """`name comparison number`, or a percentage."""

    name: str
    comparison: str
    #: Exact: five of a thousand are not more than 0.5 %.
    number: Fraction
    percent: bool = False

    def holds(self, result: Result) -> bool:
        """Whether it does; a percentage of nothing is none."""
        found = Fraction(_counted(self.name, result))
        if self.percent:
            whole = self._whole(result)
            found = found * 100 / whole if whole else Fraction(0)
        return _OPERATORS[self.comparison](found, self.number)

    def tells(self, result: Result) -> bool:
        """Whether that it does not hold says anything: of nothing there is no percentage."""
        return not self.percent or self._whole(result) > 0

    def _whole(self, result: Result) -> int:
        return result.total if self.name in _OF_ALL else result.told

    def __str__(self) -> str:
        return f"{self.name} {self.comparison} {float(self.number):.12g}{'%' * self.percent}"


def bound(text: str) -> Bound:
    """Reads a bound. Raises BoundError."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise BoundError(f"{text!r} is no bound: give a name, a comparison and a number, such as 'new_denials > 0.5%'")
    name, comparison, number, percent = match.groups()
    if name not in NAMES:
        raise BoundError(f"{name!r} is nothing that is counted: give one of {', '.join(NAMES)}")
    return Bound(name, comparison, Fraction(number), percent == "%")


def _counted(name: str, result: Result) -> int:
    if name in _CHANGES:
        return result.changes.get(_CHANGES[name], 0)
    if name == "changed":
        return result.told - result.changes.get(Change.UNCHANGED, 0)
    return {"told": result.told, "unsure": result.unsure, "errors": result.errors}[name]
