"""Evidence: the journal and its checkpoints, verification on demand, the shippers and how far behind they are, the report."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web

from hookgate.audit.checkpoint import CheckpointLine
from hookgate.audit.error import JournalError
from hookgate.audit.lag import Lag, lag_of
from hookgate.audit.recovery import newest_checkpoint
from hookgate.audit.segments import first_seq, segment_paths, usage
from hookgate.audit.store.question import Span, Store, StoreError
from hookgate.console.job import Job, TakenError
from hookgate.console.shown import is_part, page
from hookgate.console.surroundings import Surroundings, around, form_of, remote_of, visitor_of
from hookgate.console.visitor import Visitor
from hookgate.moments import moment

_MOST_CHARACTERS = 400
_FORMS = ("html", "json", "csv")
_KINDS = {"html": "text/html", "json": "application/json", "csv": "text/csv"}


class Journal(NamedTuple):
    """The journal as it lies there; `fault` says why it can't be read."""

    segments: int = 0
    size_bytes: int = 0
    first_seq: int = 0
    checkpoint: CheckpointLine | None = None
    fault: str = ""


async def show(request: web.Request) -> web.Response:
    """The page."""
    surroundings = around(request)

    def ask(store: Store) -> tuple[tuple[str, ...], tuple[Span, ...], Lag | None]:
        try:
            behind: Lag | None = lag_of(surroundings.directory, store, most=10_000)
        except JournalError:
            behind = None
        return store.instances(), store.spans(), behind

    journal = await asyncio.to_thread(_journal, surroundings.directory)
    fault = ""
    instances: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    lag: Lag | None = None
    try:
        instances, spans, lag = await surroundings.ask(ask)
    except StoreError as error:
        # The journal is looked at all the same, and who delivers.
        fault = str(error)
    await surroundings.looks.viewed(visitor_of(request), remote_of(request), "evidence", {}, 0)
    return page(
        request,
        "evidence.html.j2",
        directory=str(surroundings.directory),
        journal=journal,
        chains=[(instance, [span for span in spans if span.instance == instance]) for instance in instances],
        lag=lag,
        store_fault=fault,
        shippers=surroundings.status().shippers,
        job=surroundings.jobs.of("verify"),
        made=surroundings.jobs.of("report"),
        faults={},
        given={},
    )


async def verify(request: web.Request) -> web.Response:
    """Begins a verification, unless one is under way."""
    surroundings, visitor = _auditor(request)
    await surroundings.looks.note(
        "console_taken", {"user": visitor.user, "remote": remote_of(request), "what": "verification", "asked": {}}
    )
    job: Job | None
    try:
        job = surroundings.jobs.begin(
            "verify", visitor.user, ["hookgate.console.verifying", str(surroundings.directory)], {}
        )
    except TakenError:
        job = surroundings.jobs.of("verify")
    return _job(request, "verification.html.j2", job)


async def verification(request: web.Request) -> web.Response:
    """How far it is, or what it has found."""
    job = around(request).jobs.of("verify", request.match_info["name"])
    if job is None:
        raise web.HTTPNotFound
    return _job(request, "verification.html.j2", job)


async def report(request: web.Request) -> web.Response:
    """Begins a report by the form's fields."""
    surroundings, visitor = _auditor(request)
    form = await form_of(request)
    given = {
        name: str(form.get(name, "")).strip()[:_MOST_CHARACTERS] for name in ("from", "to", "paths", "commands", "form")
    }
    arguments, faults = _arguments(given)
    job: Job | None = None
    if not faults:
        await surroundings.looks.note(
            "console_taken", {"user": visitor.user, "remote": remote_of(request), "what": "report", "asked": given}
        )
        where = ["--directory", str(surroundings.directory), "--schema", surroundings.schema]
        try:
            job = surroundings.jobs.begin(
                "report",
                visitor.user,
                ["hookgate", "audit", "report", *where, *arguments],
                {"HOOKGATE_STORE": surroundings.where},
                suffix=f".{given['form']}",
            )
        except TakenError:
            job = surroundings.jobs.of("report")
    return _job(request, "report.html.j2", job, faults=faults, given=given)


async def report_state(request: web.Request) -> web.Response:
    """How far it is."""
    job = around(request).jobs.of("report", request.match_info["name"])
    if job is None:
        raise web.HTTPNotFound
    return _job(request, "report.html.j2", job, faults={}, given={})


async def report_file(request: web.Request) -> web.StreamResponse:
    """The report itself, to be kept: it is a page of its own, and none of the console's."""
    surroundings, visitor = _auditor(request)
    job = surroundings.jobs.of("report", request.match_info["name"])
    if job is None or job.path is None or job.state != "done" or not job.path.is_file():
        raise web.HTTPNotFound
    await surroundings.looks.note(
        "console_taken", {"user": visitor.user, "remote": remote_of(request), "what": "report_file", "asked": {}}
    )
    name = f"hookgate-report-{datetime.now(UTC):%Y%m%dT%H%M%SZ}{job.path.suffix}"
    return web.FileResponse(
        job.path,
        headers={
            "Content-Type": _KINDS[job.path.suffix[1:]],
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
    )


def _auditor(request: web.Request) -> tuple[Surroundings, Visitor]:
    visitor = visitor_of(request)
    if not visitor.is_auditor:
        raise web.HTTPForbidden(reason="For auditors", text="This needs the role auditor.")
    return around(request), visitor


def _job(request: web.Request, template: str, job: Job | None, **values: Any) -> web.Response:
    if not is_part(request):
        raise web.HTTPSeeOther("/evidence")
    return page(request, template, job=job, **values)


def _arguments(given: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Gives the command's options, and what is wrong with the form."""
    faults: dict[str, str] = {}
    now = datetime.now(UTC)
    arguments: list[str] = []
    for name in ("from", "to"):
        if not given[name]:
            continue
        try:
            moment(given[name], now, end=name == "to")
        except ValueError as error:
            faults[name] = str(error)
        arguments.append(f"--{name}={given[name]}")
    if given["form"] not in _FORMS:
        faults["form"] = f"is none of {', '.join(_FORMS)}"
    for name in ("paths", "commands"):
        arguments += [f"--{name}={line}" for line in given[name].splitlines() if line.strip()]
    return arguments, faults


def _journal(directory: Path) -> Journal:
    try:
        segments, size_bytes = usage(directory)
        paths = segment_paths(directory)
        _, checkpoint = newest_checkpoint(directory)
        return Journal(segments, size_bytes, first_seq(paths[0]) if paths else 0, checkpoint)
    except OSError as error:
        return Journal(fault=f"{error.filename or directory}: {error.strerror}")
