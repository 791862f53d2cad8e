"""Which records are asked for: the options that search, stats and export share."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from hookgate.audit.store.question import Filter
from hookgate.commands.fault import stop_with
from hookgate.moments import moment
from hookgate.outcome import Mode, Outcome


@dataclass(frozen=True, kw_only=True)
class Question:
    """What must hold of a record; what is not given does not matter."""

    since: Annotated[
        str | None,
        typer.Option(help="From so long ago on: 30m, 3h, 2d, 2w; or a date or time, UTC unless it has an offset."),
    ] = None
    begin: Annotated[str | None, typer.Option("--from", help="The same, for use with --to.")] = None
    end: Annotated[str | None, typer.Option("--to", help="Until before that time; of a date, until its end (UTC).")] = (
        None
    )
    user: Annotated[str | None, typer.Option(help="The user's id.")] = None
    role: Annotated[str | None, typer.Option(help="A role that the user had.")] = None
    tool: Annotated[str | None, typer.Option(help="The tool, such as Bash or mcp__github__create_issue.")] = None
    event: Annotated[str | None, typer.Option(help="The hook event, such as PreToolUse.")] = None
    outcome: Annotated[Outcome | None, typer.Option(help="What was decided.")] = None
    reason: Annotated[str | None, typer.Option(help="A part of the reason; case does not matter.")] = None
    text: Annotated[
        str | None, typer.Option(help="A part of the path, command or other subject of the call, in any case.")
    ] = None
    session_id: Annotated[str | None, typer.Option("--session", help="The client's session.")] = None
    policy: Annotated[str | None, typer.Option(help="The policy that matched.")] = None
    error: Annotated[str | None, typer.Option(help="The error kind, such as pdp_timeout.")] = None
    verified: Annotated[bool, typer.Option("--verified", help="Only where the identity was verified.")] = False
    unverified: Annotated[bool, typer.Option("--unverified", help="Only where it was not.")] = False
    enforced: Annotated[bool, typer.Option("--enforced", help="Only what was enforced.")] = False
    observed: Annotated[bool, typer.Option("--observed", help="Only what was observed.")] = False

    def filter(self, now: datetime) -> Filter:
        """Gives what a store is asked; ends the command where the options contradict each other or are no times."""
        for one, other in (("verified", "unverified"), ("enforced", "observed"), ("since", "begin")):
            if getattr(self, one) and getattr(self, other):
                stop_with(
                    f"--{one} and --{'from' if other == 'begin' else other} contradict each other: give one of them"
                )
        since, until = period("--since" if self.since else "--from", self.since or self.begin, self.end, now)
        mode = Mode.ENFORCE.value if self.enforced else Mode.OBSERVE.value if self.observed else None
        return Filter(
            since=since,
            until=until,
            user=self.user,
            role=self.role,
            tool=self.tool,
            event=self.event,
            outcome=self.outcome.value if self.outcome is not None else None,
            session_id=self.session_id,
            policy=self.policy,
            error=self.error,
            reason=self.reason,
            text=self.text,
            verified=True if self.verified else False if self.unverified else None,
            mode=mode,
        )


def period(option: str, begin: str | None, end: str | None, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Gives the beginning and the end of the period that two options name; ends the command where they name none."""
    since, until = _named(option, begin, now, end=False), _named("--to", end, now, end=True)
    if since is not None and until is not None and since >= until:
        stop_with(f"{option} is not before --to: {since.isoformat()} and {until.isoformat()}")
    return since, until


def _named(option: str, text: str | None, now: datetime, *, end: bool) -> datetime | None:
    try:
        return moment(text, now, end=end) if text else None
    except ValueError as error:
        stop_with(f"{option}: {error}")
