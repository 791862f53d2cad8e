"""`python -m bench`: Hookgate beside the bare PDP, and all else that is measured. Each part can be run by itself, too."""

import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from bench import call, day, facts, goals, records, report, rooms, run, suite, trend
from bench import console as consoles
from bench import fleet as fleets
from bench import store as stores
from bench import whatif as whatifs
from bench.environment import Environment, environment
from bench.grid import Grid, PageError, put, show
from bench.payloads import Payload, payloads
from bench.run import Plan
from bench.suite import FULL, QUICK
from bench.ways import Way, ways_here
from bench.window import WrongAnswerError
from hookgate.binaries import BinaryError

Quick = Annotated[bool, typer.Option("--quick", help="So short that it tells nothing but that all of it works.")]
Payloads = Annotated[list[str] | None, typer.Option("--payload", help="Only this payload; may be repeated.")]
Json = Annotated[Path | None, typer.Option(help="Write the results to this file, with each repetition.")]
Page = Annotated[Path | None, typer.Option(help="Write the tables into this page, as into docs/performance.md.")]
Sections = dict[str, tuple[list[Grid], list[str]]]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    *,
    quick: Quick = False,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="How long the day lasts [1.5; quick: 0.1].")] = None,
    json: Json = None,
    page: Page = None,
) -> None:
    """Measure everything but the store. Ends with an error only if an answer was wrong, however long it took."""
    if context.invoked_subcommand:
        return
    length = QUICK if quick else FULL
    here = environment()
    with _measuring() as step:
        found = suite.measure(replace(length, minutes=minutes or length.minutes), step=step)
    tell(here, found.sections(), found.as_values(), json, page)
    _without_faults(found.day)


@app.command("ways")
def of_ways(
    *,
    quick: Quick = False,
    seconds: Annotated[
        float | None, typer.Option(min=0.01, help="For each way in each repetition [0.35; quick: 0.1].")
    ] = None,
    repetitions: Annotated[int | None, typer.Option(min=1, help="Interleaved repetitions [5; quick: 1].")] = None,
    payload: Payloads = None,
    callers: Annotated[list[int] | None, typer.Option(min=1, help="Only so many callers; may be repeated.")] = None,
    way: Annotated[list[str] | None, typer.Option(help="Only this way, everywhere; may be repeated.")] = None,
    json: Json = None,
    page: Page = None,
) -> None:
    """Measure Hookgate, as it ships and otherwise, beside the bare PDP."""
    base = suite.plan_of(QUICK if quick else FULL)
    plan = Plan(
        payloads=chosen(payload),
        callers=tuple(callers or base.callers),
        ways=_ways(way),
        seconds=seconds or base.seconds,
        repetitions=repetitions or base.repetitions,
        restarts=base.restarts,
        whole=bool(way),
    )
    here = environment()
    with _measuring() as step:
        found = run.run(plan, step=step)
    tables = [*report.overview(plan, found), *report.details(plan, found)]
    sections: Sections = {"ways": (tables, report.notes(plan, found))}
    judged = goals.goals(plan, found, None)
    if judged and page is None:
        sections["goals"] = ([goals.grid(judged)], [goals.summary(judged)])
    tell(here, sections, {"ways": report.as_values(plan, found), "goals": judged}, json, page)


@app.command("rooms")
def of_rooms(
    payload: Payloads = None,
    seconds: Annotated[float, typer.Option(min=0.001, help="For each step.")] = 0.5,
    json: Json = None,
    page: Page = None,
) -> None:
    """Measure each step of a decision, inside one process."""
    here = environment()
    with _measuring() as step:
        step("the steps of a decision")
        found = rooms.run(chosen(payload), seconds=seconds)
    tell(here, {"rooms": ([rooms.grid(found)], rooms.notes())}, {"rooms": found}, json, page)


@app.command("call")
def of_call(
    calls: Annotated[int, typer.Option(min=1, help="Tool calls with each hook, in each round.")] = FULL.calls,
    rounds: Annotated[int, typer.Option(min=1, help="Interleaved rounds.")] = FULL.rounds,
    json: Json = None,
    page: Page = None,
) -> None:
    """Measure what one tool call waits, whole, in the real client: without a hook, with the HTTP hook, with commands."""
    here = environment()
    with _measuring() as step:
        found = call.run(calls=calls, rounds=rounds, step=step)
    tell(here, {"call": ([call.grid(found)], call.notes(found))}, {"call": found}, json, page)


@app.command("day")
def of_day(
    minutes: Annotated[float, typer.Option(min=0.01, help="How long.")] = FULL.minutes,
    agents: Annotated[int, typer.Option(min=1, help="How many agents work at once.")] = day.AGENTS,
    json: Json = None,
    page: Page = None,
) -> None:
    """Let agents replay recorded requests with time to think, and see whether anything grows or goes wrong."""
    here = environment()
    with _measuring() as step:
        found = day.run(minutes, agents=agents, step=step)
    tell(here, {"day": ([trend.grid(found)], trend.notes(found))}, {"day": trend.as_values(found)}, json, page)
    _without_faults(found)


@app.command("facts")
def of_facts(
    seconds: Annotated[float, typer.Option(min=0.001, help="For each length.")] = 1.0,
    json: Json = None,
    page: Page = None,
) -> None:
    """Measure the reading of command lines."""
    here = environment()
    found = facts.run(seconds=seconds)
    tell(here, {"facts": ([facts.grid(found)], facts.notes())}, {"readings": found}, json, page)


@app.command("records")
def of_records(
    out: Annotated[Path, typer.Option(help="The directory to write to, as a journal's.")],
    count: Annotated[int, typer.Option(min=1, help="How many.")] = 100_000,
    users: Annotated[int, typer.Option(min=1, help="Of how many users.")] = 1000,
    seed: Annotated[int, typer.Option(help="The same gives the same.")] = 1,
) -> None:
    """Write records as a quarter of a company's work leaves them: a hash chain in segments, without checkpoints."""
    try:
        size = records.write(count, out, records.Company(users=users, seed=seed))
    except OSError as error:
        stop(f"{error.filename or out}: {error.strerror}")
    typer.echo(f"{count:,} records, {size:,} bytes: {out}")


@app.command("store")
def of_store(
    file: Annotated[Path, typer.Option(help="Where to make the store; it must not be there.")],
    count: Annotated[int, typer.Option(min=1000, help="Records; ten million take 10 GB.")] = 1_000_000,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the store there.")] = False,
    json: Json = None,
    page: Page = None,
) -> None:
    """Fill a store with records of a quarter, and measure what it answers."""
    if file.exists():
        stop(f"{file}: there is something already")
    here = environment()
    try:
        with _measuring() as step:
            found = stores.run(file, count, step=step)
    finally:
        if not keep:
            stores.remove(file)
    tell(here, {"store": ([stores.grid(found)], stores.notes(found))}, {"result": found}, json, page)


@app.command("console")
def of_console(
    store: Annotated[Path, typer.Option(help="A store that `python -m bench store --keep` has made.")],
    page: Page = None,
) -> None:
    """Measure how long the pages over a store take until their first byte."""
    if not store.exists():
        stop(f"{store}: no store there: make one with `python -m bench store --keep --file {store}`")
    here = environment()
    tell(here, {"console": ([consoles.grid(consoles.run(store))], consoles.notes())}, {}, None, page)


@app.command("fleet")
def of_fleet(
    machines: Annotated[int, typer.Option(min=8, help="How many.")] = 200,
    count: Annotated[int, typer.Option("--records", min=20, help="Of each, at first.")] = 100,
    json: Json = None,
    page: Page = None,
) -> None:
    """Have machines with real journals send to two collectors and PostgreSQL, some of them offline, killed or cheating. Ends with
    an error if anything acknowledged was lost or doubled, or a cheat was not found."""
    here = environment()
    with _measuring() as step:
        result = fleets.run(machines, count, step=step)
    tell(here, {"fleet": ([fleets.grid(result), fleets.days(result)], fleets.notes())}, {"fleet": result}, json, page)
    if found := fleets.faults(result):
        stop("; ".join(found))


@app.command("whatif")
def of_whatif(
    count: Annotated[int, typer.Option(min=100, help="Requests.")] = 20_000,
    page: Page = None,
) -> None:
    """Measure how many recorded requests a second are asked again."""
    here = environment()
    tell(here, {"whatif": ([whatifs.grid(whatifs.run(count))], whatifs.notes())}, {}, None, page)


def tell(here: Environment, sections: Sections, values: dict[str, Any], json: Path | None, page: Path | None) -> None:
    """Prints tables and notes, what to look at first where a terminal stops; writes them into a file and a page, where given."""
    for grids, notes in reversed(sections.values()):
        show(reversed(grids), notes)
    command = shlex.join(["python", "-m", "bench", *sys.argv[1:]])
    if json is not None:
        json.write_bytes(suite.as_json(here, command, values))
    if page is not None:
        try:
            for name, (grids, notes) in sections.items():
                put(page, name, grids, [f"{here.line()} By `{command}`.", *notes])
        except PageError as error:
            stop(str(error))


@contextmanager
def _measuring() -> Iterator[Callable[[str], None]]:
    """Shows what is being measured. A wrong answer ends the program with one line."""
    columns = (TimeElapsedColumn(), TextColumn("{task.description}"))
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("start")
            yield lambda what: progress.update(task, description=what)
    except WrongAnswerError as error:
        stop(f"a wrong answer: {error}")


def _without_faults(found: day.Day) -> None:
    if found.faults:
        stop(f"wrong answers in the day: {len(found.faults)}")


def chosen(names: list[str] | None) -> tuple[Payload, ...]:
    """Gives the payloads of these names, or all."""
    found = payloads()
    _known("payload", names, [one.name for one in found])
    return tuple(one for one in found if not names or one.name in names)


def _ways(names: list[str] | None) -> tuple[Way, ...]:
    found = ways_here()
    _known("way", names, [one.name for one in found])
    return tuple(one for one in found if not names or one.name in names)


def _known(what: str, names: list[str] | None, known: list[str]) -> None:
    for name in names or ():
        if name not in known:
            stop(f"no {what} {name!r}; there are: {', '.join(known)}")


def stop(message: str) -> NoReturn:
    """Ends with one line."""
    typer.echo(f"bench: {message}", err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    try:
        app()
    except BinaryError as error:
        typer.echo(f"bench: {error} (run: make cerbos)", err=True)
        raise SystemExit(1) from None
