"""`python -m bench`: Hookgate beside the bare PDP. `python -m bench rooms`: what each step of a decision costs."""

from pathlib import Path
from typing import Annotated, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench import console as consoles
from bench import facts, records, report, rooms
from bench import fleet as fleets
from bench import store as stores
from bench.environment import environment
from bench.grid import Grid, PageError, put, show
from bench.payloads import Payload, payloads
from bench.run import Plan, run
from bench.ways import Way, ways_here
from bench.window import WrongAnswerError
from hookgate.binaries import BinaryError

_PAGE = "Write the tables into this page, as into docs/performance.md."

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    *,
    short: Annotated[bool, typer.Option("--short", help="All payloads once, within a minute.")] = False,
    seconds: Annotated[
        float | None, typer.Option(min=0.01, help="For each way in each repetition [1; short: 0.2].")
    ] = None,
    repetitions: Annotated[int | None, typer.Option(min=1, help="Interleaved repetitions [5; short: 1].")] = None,
    payload: Annotated[list[str] | None, typer.Option(help="Only this payload; may be repeated.")] = None,
    callers: Annotated[list[int] | None, typer.Option(min=1, help="Only so many callers; may be repeated.")] = None,
    way: Annotated[list[Way] | None, typer.Option(help="Only this way; may be repeated.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the results to this file, with each repetition.")] = None,
    page: Annotated[Path | None, typer.Option(help=_PAGE)] = None,
) -> None:
    """Measure Hookgate beside the bare PDP. Ends with an error only if an answer was wrong, however long it took."""
    if context.invoked_subcommand:
        return
    plan = Plan(
        payloads=chosen(payload),
        callers=tuple(callers or ((1, 16) if short else (1, 16, 64))),
        ways=tuple(way or ways_here()),
        seconds=seconds or (0.2 if short else 1.0),
        repetitions=repetitions or (1 if short else 5),
        restarts=1 if short else 5,
    )
    here = environment()
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("start", total=plan.cells)

            def step(what: str) -> None:
                progress.update(task, description=what, advance=1)

            result = run(plan, step=step)
    except WrongAnswerError as error:
        stop(f"a wrong answer: {error}")
    details = [*report.details(plan, result), facts.grid(facts.run(seconds=plan.seconds))]
    tell("bench", report.overview(plan, result), details, report.notes(here, plan, result), page)
    if json is not None:
        json.write_bytes(report.as_json(here, plan, result))


@app.command("rooms")
def of_rooms(
    payload: Annotated[list[str] | None, typer.Option(help="Only this payload; may be repeated.")] = None,
    seconds: Annotated[float, typer.Option(min=0.001, help="For each step.")] = 0.5,
    json: Annotated[Path | None, typer.Option(help="Write the results to this file.")] = None,
    page: Annotated[Path | None, typer.Option(help=_PAGE)] = None,
) -> None:
    """Measure each step of a decision, inside one process."""
    here = environment()
    found = rooms.run(chosen(payload), seconds=seconds)
    tell("rooms", [rooms.grid(found)], [], rooms.notes(here), page)
    if json is not None:
        json.write_bytes(rooms.as_json(here, found))


@app.command("facts")
def of_facts(
    seconds: Annotated[float, typer.Option(min=0.001, help="For each length.")] = 1.0,
    json: Annotated[Path | None, typer.Option(help="Write the results to this file.")] = None,
    page: Annotated[Path | None, typer.Option(help="Write the table into this page, as into docs/facts.md.")] = None,
) -> None:
    """Measure the reading of command lines."""
    here = environment()
    found = facts.run(seconds=seconds)
    tell("facts", [facts.grid(found)], [], facts.notes(here), page)
    if json is not None:
        json.write_bytes(facts.as_json(here, found))


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
    json: Annotated[Path | None, typer.Option(help="Write the results to this file.")] = None,
    page: Annotated[Path | None, typer.Option(help=_PAGE)] = None,
) -> None:
    """Fill a store with records of a quarter, and measure what it answers."""
    if file.exists():
        stop(f"{file}: there is something already")
    here = environment()
    try:
        with Progress(TextColumn("{task.description}"), console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("start")
            result = stores.run(file, count, step=lambda what: progress.update(task, description=what))
    finally:
        if not keep:
            stores.remove(file)
    tell("store", [stores.grid(result)], [], stores.notes(here, result), page)
    if json is not None:
        json.write_bytes(stores.as_json(here, result))


@app.command("console")
def of_console(
    store: Annotated[Path, typer.Option(help="A store that `python -m bench store --keep` has made.")],
    page: Annotated[Path | None, typer.Option(help=_PAGE)] = None,
) -> None:
    """Measure how long the pages over a store take until their first byte."""
    if not store.exists():
        stop(f"{store}: no store there: make one with `python -m bench store --keep --file {store}`")
    result = consoles.run(store)
    tell("console", [consoles.grid(result)], [], consoles.notes(environment()), page)


@app.command("fleet")
def of_fleet(
    machines: Annotated[int, typer.Option(min=8, help="How many.")] = 200,
    count: Annotated[int, typer.Option("--records", min=20, help="Of each, at first.")] = 100,
    json: Annotated[Path | None, typer.Option(help="Write the results to this file.")] = None,
    page: Annotated[Path | None, typer.Option(help=_PAGE)] = None,
) -> None:
    """Have machines with real journals send to two collectors and PostgreSQL, some of them offline, killed or cheating. Ends with
    an error if anything acknowledged was lost or doubled, or a cheat was not found."""
    here = environment()
    with Progress(TextColumn("{task.description}"), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("start")
        result = fleets.run(machines, count, step=lambda what: progress.update(task, description=what))
    tell("fleet", [fleets.grid(result)], [], fleets.notes(here), page)
    if json is not None:
        json.write_bytes(msgspec.json.encode({"version": 1, "environment": here, "result": result}) + b"\n")
    if found := fleets.faults(result):
        stop("; ".join(found))


def tell(name: str, overview: list[Grid], details: list[Grid], notes: list[str], page: Path | None) -> None:
    """Prints tables and notes, the overview where a terminal stops; and writes them into a page where one is given."""
    show([*details, *reversed(overview)], notes)
    if page is not None:
        try:
            put(page, name, [*overview, *details], notes)
        except PageError as error:
            stop(str(error))


def chosen(names: list[str] | None) -> tuple[Payload, ...]:
    """Gives the payloads of these names, or all."""
    found = payloads()
    known = [one.name for one in found]
    for name in names or ():
        if name not in known:
            stop(f"no payload {name!r}; there are: {', '.join(known)}")
    return tuple(one for one in found if not names or one.name in names)


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
