"""`hookgate audit stats`: how many decisions, of what kind, and who stands out."""

import json
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hookgate.audit.store.question import Count, Stats
from hookgate.commands.asking import Question
from hookgate.commands.groups import with_groups
from hookgate.commands.screen import COLOURS
from hookgate.commands.stored import Place
from hookgate.commands.tables import screen
from hookgate.harmless import harmless

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_BAR_CHARACTERS = 24
_NAME_CHARACTERS = 60
#: The lists, in the order in which they are shown.
_LISTS = {
    "outcome": "outcomes",
    "error": "errors",
    "enforced or observed": "modes",
    "event": "events",
    "tool": "tools",
    "user": "users",
    "policy": "policies",
    "denied most": "denied",
    "tools without a policy": "unmatched",
    "users with unverified identity": "unverified",
    "sessions with most denials": "denying_sessions",
    "what does not add up": "violations",
}


@with_groups
def stats(
    question: Question,
    place: Place,
    top: Annotated[int, typer.Option(min=1, max=1000, help="Entries of each list.")] = 10,
    buckets: Annotated[int, typer.Option(min=1, max=1000, help="Parts that the period is divided into.")] = 48,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON, ASCII only.")] = False,
) -> None:
    """Count decisions over time, by outcome, tool, user and policy; and what is denied most, has no policy, or no verified user."""
    wanted = question.filter(datetime.now(UTC))
    with place.opened() as store:
        found = store.stats(wanted, top=top, buckets=buckets)
        if as_json:
            typer.echo(json.dumps(msgspec.to_builtins(found), indent=2))
        elif found.total:
            _show(screen(), found)
        if not found.total:
            typer.echo("hookgate: no decision matches", err=True)
        place.say_lag(store)


def _show(console: Console, found: Stats) -> None:
    period = f"{found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC"
    console.print(Text(f"{found.total:,} decisions", "bold").append(f"  {period}", "not bold dim"))
    _over_time(console, found)
    for title, field in _LISTS.items():
        counts: tuple[Count, ...] = getattr(found, field)
        if counts:
            console.print(_list(title, counts, found.total if field in ("outcomes", "modes", "events") else 0))


def _over_time(console: Console, found: Stats) -> None:
    """A line of blocks for all decisions, and one for denials, errors and questions each, to scales of their own."""
    lines = {"all": [sum(bucket.outcomes.values()) for bucket in found.buckets]}
    for outcome in ("deny", "ask", "error"):
        lines[outcome] = [bucket.outcomes.get(outcome, 0) for bucket in found.buckets]
    console.print(Text(f"\nover time, {_span(found.bucket_seconds)} a block", "bold cyan"))
    for name, counts in lines.items():
        if most := max(counts, default=0):
            line = Text(f"  {name:<8} ", "dim").append(sparkline(counts), COLOURS.get(name, "") + " not dim")
            console.print(line.append(f"  at most {most:,}", "dim"), soft_wrap=True)


def sparkline(counts: list[int]) -> str:
    """Gives a block for each count; what is not zero is never drawn as nothing."""
    most = max(counts, default=0)
    return "".join(_EIGHTHS[-(-count * 8 // most)] if count else _EIGHTHS[0] for count in counts)


def _list(title: str, counts: tuple[Count, ...], total: int) -> Table:
    table = Table(
        box=None, pad_edge=False, show_header=False, title=Text(f"\n{title}", "bold cyan"), title_justify="left"
    )
    table.add_column(no_wrap=True, overflow="ellipsis", min_width=12)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", style="dim", no_wrap=True)
    most = max(count.count for count in counts) or 1
    for count in counts:
        style = COLOURS.get(count.name, "") if title == "outcome" else ""
        bar = Text("█" * max(1, count.count * _BAR_CHARACTERS // most), style or "blue")
        share = f"{count.count / total:.1%}" if total else ""
        table.add_row(Text("  " + harmless(count.name or "-", _NAME_CHARACTERS), style), f"{count.count:,}", bar, share)
    return table


def _span(seconds: int) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds} s"
