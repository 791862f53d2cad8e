"""What somebody asks for, as it stands in an address: the filters of `hookgate audit search` by their names there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlencode

from hookgate.audit.store.question import Filter
from hookgate.moments import moment
from hookgate.outcome import Mode, Outcome

_PLAIN = ("user", "role", "tool", "event", "session", "policy", "error", "reason", "text")
NAMES = ("since", "from", "to", "outcome", *_PLAIN, "verified", "mode")
#: What a form shows at once.
_FIRST = {"since", "outcome", "user", "tool", "text"}
_FIELDS = {"session": "session_id"}
_MOST_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Asked:
    """Filters as written, what a store is asked, and what is wrong with them, by name."""

    given: Mapping[str, str]
    filter: Filter
    faults: Mapping[str, str] = field(default_factory=dict)

    def query(self, **changes: str | None) -> str:
        """Gives the filters as part of an address, with changes; None leaves one out."""
        found = {**self.given, **changes}
        return urlencode({name: text for name, text in found.items() if text})

    @property
    def is_detailed(self) -> bool:
        """Whether filters count that are not among the first ones of a form, or something is wrong with one."""
        return bool(self.faults) or not self.given.keys() <= _FIRST

    @property
    def fixed(self) -> str:
        """The filters with times in the place of durations: they find the same tomorrow."""
        changes: dict[str, str | None] = {}
        if self.filter.since is not None:
            changes |= {"since": None, "from": _written(self.filter.since)}
        if self.filter.until is not None:
            changes["to"] = _written(self.filter.until)
        return self.query(**changes)


def asked(query: Mapping[str, str], now: datetime | None = None, *, default_since: str = "") -> Asked:
    """Reads what stands in an address. What is no filter is passed over; what can't be read is a fault, and left out."""
    now = now or datetime.now(UTC)
    given = {name: text[:_MOST_CHARACTERS] for name in NAMES if (text := query.get(name, "").strip())}
    if default_since and not given.keys() & {"since", "from", "to"}:
        given["since"] = default_since
    faults: dict[str, str] = {}
    wanted: dict[str, object] = {_FIELDS.get(name, name): given[name] for name in _PLAIN if name in given}
    begin = "since" if "since" in given else "from"
    for name, into, end in ((begin, "since", False), ("to", "until", True)):
        if name in given:
            try:
                wanted[into] = moment(given[name], now, end=end)
            except ValueError as error:
                faults[name] = str(error)
    since, until = wanted.get("since"), wanted.get("until")
    if isinstance(since, datetime) and isinstance(until, datetime) and since >= until:
        faults[begin] = "is not before the end"
        del wanted["since"]
    choices = {
        "outcome": [one.value for one in Outcome],
        "mode": [one.value for one in Mode],
        "verified": ["yes", "no"],
    }
    for name, allowed in choices.items():
        if name in given:
            if given[name] in allowed:
                wanted[name] = given[name] == "yes" if name == "verified" else given[name]
            else:
                faults[name] = f"is none of {', '.join(allowed)}"
    return Asked(given, Filter(**wanted), faults)  # type: ignore[arg-type]


def _written(moment_: datetime) -> str:
    return moment_.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").replace(".000000Z", "Z")
