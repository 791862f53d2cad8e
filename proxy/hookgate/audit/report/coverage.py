"""Which Hookgates recorded, from when to when, and when there was no sign of life of them."""

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hookgate.audit.checkpoint import TYPE as CHECKPOINT
from hookgate.audit.report.model import Gap, Instance, ServiceEvent, Span, ViolationRecord
from hookgate.audit.report.tally import Tally

#: Checkpoints are made every 10 s, also when idle.
_SILENCE = timedelta(seconds=30)
_MOST_INSTANCES = 2000
_MOST_SILENCES = 50
_MOST_STOPS = 20_000
_MOST_LISTED = 500
#: Records about calls that do not add up.
VIOLATIONS = ("enforcement_violated", "executed_differs", "unasked", "undelivered")
#: What an auditor should know of a service's life, besides starts, stops and gaps, which are told apart.
_TOLD = frozenset(
    ("retention", "shipper_refused", "config_changed", "key_changed", "journal_repair", "chain_start", "policy_lost")
)


@dataclass(slots=True)
class _Life:
    host: str = ""
    first: str = ""
    last: str = ""
    decisions: int = 0
    starts: int = 0
    stops: int = 0
    crashes: int = 0
    checkpoints: int = 0
    running: bool = False
    stopped_at: list[datetime] = field(default_factory=list)
    before: datetime | None = None
    silences: list[Span] = field(default_factory=list)
    silent: int = 0


class Coverage:
    """Takes decisions and records about the services, each kind in the order of its times; checkpoints last."""

    def __init__(self) -> None:
        self._lives: dict[str, _Life] = {}
        self._gaps: list[Gap] = []
        self._events: list[ServiceEvent] = []
        self._violations: list[ViolationRecord] = []
        self.violation_counts = Tally()
        #: What could not be listed for its number.
        self.left_out = 0

    def decided(self, instance: str, time: str, host: str) -> None:
        """Takes a decision."""
        if (life := self._life(instance)) is not None:
            life.decisions += 1
            life.host = life.host or host
            _stretch(life, time)

    def happened(self, instance: str, record: dict[str, Any]) -> ViolationRecord | None:
        """Takes a record about the service; gives what it says of a call that does not add up, if it does."""
        kind, time = str(record.get("type", "")), str(record.get("time", ""))
        detail = record.get("detail")
        detail = detail if isinstance(detail, dict) else {}
        life = self._life(instance)
        if life is not None:
            host = record.get("host")
            life.host = life.host or (host if isinstance(host, str) else "")
            _stretch(life, time)
            self._lived(life, kind, time)
        if kind == "gap":
            answers = detail.get("answers")
            counts = {str(k): v for k, v in answers.items() if isinstance(v, int)} if isinstance(answers, dict) else {}
            gap = Gap(instance=instance, since=_text(detail, "since"), until=_text(detail, "until"), answers=counts)
            self._listed(self._gaps, gap)
        elif kind in VIOLATIONS:
            self.violation_counts.add(kind)
            violation = ViolationRecord(
                type=kind,
                time=time,
                instance=instance,
                decision=_text(detail, "decision"),
                found_by=_text(detail, "found_by"),
                tool=_text(detail, "tool"),
            )
            self._listed(self._violations, violation)
            return violation
        elif kind in _TOLD:
            self._listed(self._events, ServiceEvent(type=kind, time=time, instance=instance, detail=detail))
        return None

    def instances(self, with_journal: str) -> tuple[Instance, ...]:
        """Gives the instances by their first record; `with_journal` is the one whose journal is here."""
        found = [
            Instance(
                id=name,
                host=life.host,
                first=life.first,
                last=life.last,
                decisions=life.decisions,
                starts=life.starts,
                stops=life.stops,
                crashes=life.crashes,
                checkpoints=life.checkpoints,
                silences=tuple(life.silences),
                silent=life.silent,
                has_journal=name == with_journal and bool(name),
            )
            for name, life in self._lives.items()
        ]
        return tuple(sorted(found, key=lambda instance: (instance.first, instance.id)))

    def gaps(self) -> tuple[Gap, ...]:
        """Gives the gaps, the oldest first."""
        return tuple(self._gaps)

    def events(self) -> tuple[ServiceEvent, ...]:
        """Gives what else happened, the oldest first."""
        return tuple(self._events)

    def violations(self) -> tuple[ViolationRecord, ...]:
        """Gives what does not add up, the oldest first."""
        return tuple(self._violations)

    def _life(self, instance: str) -> _Life | None:
        life = self._lives.get(instance)
        if life is None and len(self._lives) < _MOST_INSTANCES:
            life = self._lives[instance] = _Life()
        return life

    def _listed(self, members: list[Any], one: Any) -> None:
        if len(members) < _MOST_LISTED:
            members.append(one)
        else:
            self.left_out += 1

    def _lived(self, life: _Life, kind: str, time: str) -> None:
        at = when(time)
        if kind == "start":
            life.starts += 1
            life.crashes += life.running
            life.running = True
        elif kind == "stop":
            life.stops += 1
            life.running = False
            if at is not None and len(life.stopped_at) < _MOST_STOPS:
                life.stopped_at.append(at)
        elif kind == CHECKPOINT and at is not None:
            life.checkpoints += 1
            before, life.before = life.before, at
            if before is not None and at - before > _SILENCE and not _any_between(life.stopped_at, before, at):
                life.silent += 1
                if len(life.silences) < _MOST_SILENCES:
                    life.silences.append(Span(since=before.isoformat(), until=at.isoformat()))


def when(time: str) -> datetime | None:
    """Gives the time of a record, None where it has none."""
    try:
        found = datetime.fromisoformat(time)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _stretch(life: _Life, time: str) -> None:
    life.first = min(life.first or time, time)
    life.last = max(life.last, time)


def _any_between(times: list[datetime], since: datetime, until: datetime) -> bool:
    # A run's last checkpoint is written right behind its `stop`, or that one was the last line.
    at = bisect_left(times, since - timedelta(seconds=2))
    return at < len(times) and times[at] <= until


def _text(detail: dict[str, Any], key: str) -> str:
    value = detail.get(key)
    return value if isinstance(value, str) else ""
