"""`hookgate whatif`: what candidate policies would have said to the requests of the past."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from hookgate.audit.draft import drafted
from hookgate.audit.store.question import StoreError
from hookgate.binaries import BinaryError, find_cerbos
from hookgate.binaries.cache import cache_folder
from hookgate.commands.asking import Question
from hookgate.commands.fault import stop_with, stop_with_config
from hookgate.commands.groups import with_groups
from hookgate.commands.screen import COLOURS
from hookgate.commands.stored import STORE_NAME, Place
from hookgate.commands.tables import screen
from hookgate.config import ConfigError, load
from hookgate.harmless import harmless
from hookgate.pdp.process import CerbosError
from hookgate.whatif.bound import Bound, BoundError, bound
from hookgate.whatif.change import Change
from hookgate.whatif.html import page, share
from hookgate.whatif.model import Count, Example, Result
from hookgate.whatif.trying import Trial, Trying
from hookgate.whatif.words import CHANGES, WHYS

_FAILED = 3
_LISTED, _EXAMPLES = 10, 12
_COLOURS = {Change.NEWLY_DENIED: "bold red", Change.NEWLY_ASKED: "yellow", Change.NEWLY_ALLOWED: "green"}


@with_groups
def whatif(
    *,
    policies: Annotated[Path, typer.Option(help="The candidate: a directory of policies.")],
    question: Question,
    place: Place,
    against: Annotated[
        Path | None,
        typer.Option(help="Compare with what these policies say to the same requests, and not with what was recorded."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="The service's configuration, for `outputs.stricter_than_effect`.")
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(help="Exit 3 where this holds, such as 'new_denials > 0.5%' or 'new_asks > 20'; may be repeated."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write the result to this file, as a page of its own.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew also where an earlier run was interrupted.")
    ] = False,
) -> None:
    """Ask candidate policies every recorded request of a period again, and tell what would change.

    A PDP of its own is started for them; the one that decides is not touched. What can't be told, since the record does not
    hold all that the policies read, is counted and named. A run that is interrupted goes on where it was.

    Exit 0, 3 where a bound of --fail-if is passed, 1 if it can't be told.
    """
    bounds = _bounds(fail_if or [])
    now = datetime.now(UTC)
    wanted = question.filter(now)
    for directory in (policies, against):
        if directory is not None and not directory.is_dir():
            stop_with(f"{directory}: no such directory of policies")
    try:
        strictness = load(config).outputs.stricter_than_effect if config is not None else "deny"
        cerbos = find_cerbos(say=lambda line: typer.echo(f"hookgate: {line}", err=True)).path
        where = str(place.store or (place.directory / STORE_NAME).absolute())
        trying = Trying(
            Trial(
                cerbos=cerbos,
                policies=policies,
                against=against,
                wanted=wanted,
                stricter_than_effect=strictness,
                written=(where, place.schema, question.since or question.begin or "", question.end or ""),
                states=cache_folder() / "whatif",
                fresh=fresh,
            )
        )
        result = _run(trying, place)
    except ConfigError as error:
        stop_with_config(error)
    except OSError as error:
        stop_with(f"{error.filename or policies}: {error.strerror or error}")
    except (BinaryError, CerbosError, StoreError) as error:
        stop_with(harmless(str(error)))
    if html is not None:
        _write(html, result)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(result), indent=2).decode())
    else:
        _show(result)
    passed = [one for one in bounds if one.holds(result)]
    for one in passed:
        typer.echo(f"hookgate: {one} holds", err=True)
    if passed:
        raise typer.Exit(_FAILED)
    for one in bounds:
        if not one.tells(result):
            stop_with(f"--fail-if: whether {one} can't be told: none of {result.total:,} requests can be compared")


def _bounds(texts: list[str]) -> list[Bound]:
    try:
        return [bound(text) for text in texts]
    except BoundError as error:
        stop_with(f"--fail-if: {error}")


def _run(trying: Trying, place: Place) -> Result:
    console = Console(stderr=True)
    columns = (TextColumn("asking again"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        place.opened() as store,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        total = None
        with suppress(StoreError):
            total = store.stats(trying.period, top=1, buckets=1, closely=False).total
        if trying.done:
            typer.echo(f"hookgate: going on behind {trying.done} requests that were asked before", err=True)
        task = bar.add_task("", total=total, completed=trying.done)
        try:
            result = asyncio.run(trying.run(store, lambda done: bar.advance(task, done)))
        except KeyboardInterrupt:
            stop_with("interrupted: the same command goes on where it was")
        place.say_lag(store)
    return result


def _write(path: Path, result: Result) -> None:
    try:
        with drafted(path) as stream:
            stream.write(page(result).encode())
    except OSError as error:
        stop_with(f"--html {path}: {error.strerror}")


def _show(result: Result) -> None:
    console = screen()
    console.print(
        Text(f"{result.told:,} of {result.total:,} requests can be told, compared with ", "bold").append(
            harmless(result.against) if result.against else "what was recorded"
        )
    )
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, words in CHANGES.items():
        count = result.changes[name]
        style = _COLOURS.get(Change(name), "") if count else "dim"
        table.add_row(Text(words, style), Text(f"{count:,}", style, justify="right"), Text(share(count, result.told)))
    console.print(table)
    if result.transitions:
        console.print(Text(";  ".join(f"{name} {count:,}" for name, count in result.transitions.items()), "dim"))
    if result.unsure:
        console.print(Text(f"\n{result.unsure:,} can't be told", "bold"))
        for why, count in result.unsure_why.items():
            console.print(Text(f"  {count:>8,}  {WHYS[why]} ({why})"))
        if result.apparent:
            told = ", ".join(f"{count:,} {CHANGES[name]}" for name, count in result.apparent.items())
            console.print(Text(f"  by what is recorded of them, with its marks and cuts (a hint): {told}", "dim"))
    if result.errors:
        told = ", ".join(f"{count:,} {name}" for name, count in result.error_outcomes.items())
        console.print(Text(f"\n{result.errors:,} had ended in an error; now: {told}", "bold"))
    for title, counts in (("rule", result.by_rule), ("tool", result.by_tool), ("user", result.by_user)):
        _counts(console, title, counts)
    if result.people:
        told = ", ".join(
            f"{harmless(one.user, 40)} ({one.newly_denied + one.newly_asked} of {one.requests})"
            for one in result.people
        )
        console.print(Text("\nmost affected: ", "bold").append(told, "not bold"))
    _examples(console, result.examples)


def _counts(console: Console, title: str, counts: tuple[Count, ...]) -> None:
    if not counts:
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(f"by {title}")
    for name in ("denied", "asked", "allowed", "spoken of", "no more"):
        table.add_column(name, justify="right")
    for one in counts[:_LISTED]:
        numbers = (one.newly_denied, one.newly_asked, one.newly_allowed, one.newly_matched, one.newly_unmatched)
        table.add_row(
            Text(harmless(one.name, 80) or "(none)"), *(f"{number:,}" if number else "" for number in numbers)
        )
    console.print()
    console.print(table)
    if len(counts) > _LISTED:
        console.print(Text(f"and {len(counts) - _LISTED} more (see --json)", "dim"))


def _examples(console: Console, examples: tuple[Example, ...]) -> None:
    if not examples:
        return
    console.print(Text("\nexamples", "bold"))
    for one in sorted(examples, key=lambda one: bool(one.unsure))[:_EXAMPLES]:
        line = Text(f"  {harmless(one.time[:19].replace('T', ' '))}  ", "dim")
        line.append(f"{harmless(one.user, 24)}  ", "not dim").append(
            f"{harmless(one.tool or one.event, 24)}  ", "bold not dim"
        )
        line.append(f"{one.before} → {one.after}  ", f"not dim {COLOURS.get(one.after, '')}")
        line.append(harmless(one.subject, 100), "not dim")
        line.append(f"  {harmless(one.rule, 80)}", "italic not dim")
        if one.unsure:
            line.append(f"  unsure: {', '.join(one.unsure)}", "yellow not dim")
        console.print(line, soft_wrap=True)
