"""How values stand in a page: every one of them passes here before it is escaped, since recorded text is an attacker's."""

import hashlib
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from hookgate import __version__
from hookgate.audit.store.table import reason_of
from hookgate.console.surroundings import VISITOR
from hookgate.harmless import harmless

_FOLDER = Path(__file__).parent
STATIC = _FOLDER / "static"
_TEXT_CHARACTERS = 300
#: Of one value of a record; the journal has all of it.
_MOST_CHARACTERS = 60_000
_PAGES = (
    ("overview", "/", "Overview"),
    ("live", "/live", "Live"),
    ("search", "/search", "Search"),
    ("people", "/people", "People"),
    ("fleet", "/fleet", "Fleet"),
    ("policies", "/policies", "Policies"),
    ("whatif", "/whatif", "What\N{NON-BREAKING HYPHEN}if"),
    ("evidence", "/evidence", "Evidence"),
)


def page(request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
    """Gives a page, or the part of one that htmx asked for."""
    visitor = request.get(VISITOR)
    text = environment().get_template(template).render(visitor=visitor, path=request.path, pages=_PAGES, **values)
    return web.Response(text=text, content_type="text/html", charset="utf-8", status=status)


def fragment(name: str, **values: Any) -> str:
    """Gives a part of a page."""
    return environment().get_template(name).render(**values)


def is_part(request: web.Request) -> bool:
    """Whether htmx asks for a part of the page that it has already."""
    return request.headers.get("HX-Request") == "true" and request.headers.get("HX-History-Restore-Request") != "true"


@cache
def environment() -> Environment:
    """Gives the templates."""
    made = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"version": __version__, "asset": asset, "reason_of": reason_of}
    made.filters |= {
        "cut": lambda text, characters=_TEXT_CHARACTERS: harmless(str(text), characters),
        "number": lambda value: f"{value:,}",
        "share": share,
        "moment": moment,
        "clock": lambda time: moment(time)[11:],
        "span": span,
        "visible": visible,
        "bytes": size,
        "ago": ago,
        "utc": lambda seconds: datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "as_json": lambda value: json.dumps(value, ensure_ascii=True),
    }
    return made


def _shown(value: Any) -> Any:
    if isinstance(value, Markup):
        return value
    return "" if value is None else harmless(str(value))


@cache
def asset(name: str) -> str:
    """Gives the address of a file of ours; another content has another address, so that browsers may keep it."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:16]
    return f"/static/{name}?v={digest}"


def visible(value: Any) -> Markup:
    r"""Gives a value as it was recorded, over several lines where it has them; what is not to be seen stands as `\u{…}`, marked."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    rest = len(text) - _MOST_CHARACTERS
    lines = (_marked(line) for line in text[:_MOST_CHARACTERS].split("\n"))
    more = (
        Markup('<span class="esc">… {} characters more, in the journal</span>').format(rest) if rest > 0 else Markup("")
    )
    return Markup("\n").join(lines) + more


def _marked(line: str) -> Markup:
    if line.isascii() and line.isprintable():
        return escape(line)
    pieces: list[Markup] = []
    plain = ""
    for char in line:
        shown = harmless(char)
        if shown == char:
            plain += char
        elif char == "\t":
            plain += "\t"
        else:
            pieces += [escape(plain), Markup('<span class="esc">{}</span>').format(shown)]
            plain = ""
    return Markup("").join([*pieces, escape(plain)])


def moment(time: datetime | str) -> str:
    """Gives a time to the second, UTC."""
    text = time.astimezone(UTC).isoformat() if isinstance(time, datetime) else time
    return harmless(text[:19].replace("T", " "))


def ago(time: datetime | str, now: datetime | None = None) -> str:
    """Gives how long ago a time was."""
    try:
        then = datetime.fromisoformat(time) if isinstance(time, str) else time
    except ValueError:
        return ""
    return span(((now or datetime.now(UTC)) - then).total_seconds()) + " ago"


def span(seconds: float | None) -> str:
    """Gives a duration in the unit that says most."""
    if seconds is None:
        return ""
    seconds = max(0.0, seconds)
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length * 1.5 or (seconds >= length and seconds % length == 0):
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def size(count: int) -> str:
    """Gives bytes in the unit that says most."""
    for unit, length in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= length:
            return f"{count / length:.3g} {unit}"
    return f"{count} B"


def share(part: int, whole: int) -> str:
    """Gives a share in percent."""
    if not whole:
        return ""
    percent = part * 100 / whole
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.1f} %" if percent >= 0.1 else "< 0.1 %"
