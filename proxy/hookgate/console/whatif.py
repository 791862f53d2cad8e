"""What-if: candidate policies, uploaded as an archive, are asked the past's requests in a process of their own."""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import BodyPartReader, web

from hookgate.console.asked import Asked, asked
from hookgate.console.job import ASKED, Job, TakenError
from hookgate.console.shown import is_part, page
from hookgate.console.surroundings import around, remote_of, visitor_of
from hookgate.whatif.archive import ARCHIVE_BYTES
from hookgate.whatif.words import CHANGES, WHYS

_KIND, _DEFAULT = "whatif", "7d"
#: Of a form: its parts, and the characters of one that is no file.
_MOST_PARTS, _FIELD_BYTES = 16, 2000
_CHUNK_BYTES = 64 * 1024


@dataclass(slots=True)
class _Form:
    fields: dict[str, str] = field(default_factory=dict)
    archive: bytes = b""
    name: str = ""


async def show(request: web.Request) -> web.Response:
    """The page, with the newest what-if."""
    job = around(request).jobs.of(_KIND)
    await _looked(request, job)
    return _page(request, "whatif.html.j2", job, asked({}, default_since=_DEFAULT))


async def begin(request: web.Request) -> web.Response:
    """Begins one, unless another is under way: then that one is shown."""
    surroundings, visitor = around(request), visitor_of(request)
    form = await _read(request)
    question = asked(form.fields, default_since=_DEFAULT)
    faults = dict(question.faults)
    if len(form.archive) > ARCHIVE_BYTES:
        faults["policies"] = f"is larger than {ARCHIVE_BYTES // 2**20} MiB"
    elif not form.archive:
        faults["policies"] = "is missing: choose a .zip, .tar or .tar.gz archive"
    against = surroundings.config.policies if form.fields.get("against") else ""
    job = surroundings.jobs.of(_KIND)
    if not faults:
        digest = hashlib.sha256(form.archive).hexdigest()
        told = {**question.given, "policies": f"{form.name[:200]} {digest[:16]}", "against": against}
        await surroundings.looks.viewed(visitor, remote_of(request), _KIND, told, 0)
        archive = surroundings.jobs.folder() / f"{secrets.token_urlsafe(12)}.archive"
        arguments = {
            "archive": str(archive),
            "name": form.name[:200],
            "schema": surroundings.schema,
            "against": against,
            "wanted": msgspec.to_builtins(question.filter),
        }
        try:
            await asyncio.to_thread(_keep, archive, form.archive)
            job = surroundings.jobs.begin(
                _KIND,
                visitor.user,
                ["hookgate.console.trying"],
                {"HOOKGATE_STORE": surroundings.where, ASKED: msgspec.json.encode(arguments).decode()},
            )
        except TakenError:
            await asyncio.to_thread(archive.unlink, missing_ok=True)
            faults["policies"] = "wait: another what-if is under way"
        except OSError as error:
            faults["policies"] = f"could not be kept: {error.strerror}"
    return _page(request, "whatif_part.html.j2", job, question, faults)


async def state(request: web.Request) -> web.Response:
    """How far it is, or what it has found."""
    job = around(request).jobs.of(_KIND, request.match_info["name"])
    if job is None:
        raise web.HTTPNotFound
    await _looked(request, job)
    return _page(request, "whatif_part.html.j2", job, asked({}, default_since=_DEFAULT))


def _page(
    request: web.Request, template: str, job: Job | None, question: Asked, faults: dict[str, str] | None = None
) -> web.Response:
    if template != "whatif.html.j2" and not is_part(request):
        raise web.HTTPSeeOther("/whatif")
    result: dict[str, Any] = job.result if job is not None and job.state == "done" else {}
    return page(
        request,
        template,
        job=job,
        result=result,
        given=question.given,
        faults=faults or {},
        changes=CHANGES,
        whys=WHYS,
        in_force=around(request).config.policies,
    )


async def _looked(request: web.Request, job: Job | None) -> None:
    """What is shown of records are its examples."""
    if job is not None and job.state == "done":
        shown = len(job.result.get("examples", ()))
        await around(request).looks.viewed(visitor_of(request), remote_of(request), _KIND, {"shown": job.name}, shown)


async def _read(request: web.Request) -> _Form:
    """Reads the form piece by piece, and of its file no more than is taken."""
    if request.content_type != "multipart/form-data":
        raise web.HTTPUnsupportedMediaType(text="The form is sent with a file (multipart/form-data).")
    form = _Form()
    try:
        reader = await request.multipart()
        for _ in range(_MOST_PARTS):
            part = await reader.next()
            if part is None:
                return form
            if not isinstance(part, BodyPartReader):
                break
            most = ARCHIVE_BYTES if part.name == "policies" else _FIELD_BYTES
            content = bytearray()
            while piece := await part.read_chunk(_CHUNK_BYTES):
                content += piece
                if len(content) > most:
                    break
            if part.name == "policies":
                form.archive, form.name = bytes(content), part.filename or ""
                if len(content) > most:
                    return form
            elif part.name:
                form.fields[part.name] = content[:_FIELD_BYTES].decode("utf-8", "replace")
    except (ValueError, AssertionError):
        pass
    raise web.HTTPBadRequest(text="The form can't be read.")


def _keep(file: Path, content: bytes) -> None:
    file.touch(mode=0o600)
    file.write_bytes(content)
