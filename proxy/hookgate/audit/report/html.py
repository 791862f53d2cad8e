"""The report as one page of HTML: no script, nothing from elsewhere, readable on screen and paper."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hookgate.audit.report.model import Access, Report
from hookgate.audit.report.svg import ORDER, bar, columns
from hookgate.harmless import harmless

_FOLDER = Path(__file__).parent
#: Listed of each kind but accesses.
_MOST_LISTED = 200
_TEXT_CHARACTERS = 400
_HELD = ("ask", "defer", "deny", "error")


def page(report: Report, accesses: Iterator[Access], rows: int) -> Iterator[str]:
    """Gives the page piece by piece, with so many of the accesses."""
    style = (_FOLDER / "report.css").read_text(encoding="utf-8")
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    totals = report.totals
    chart = partial(columns, buckets=totals.buckets, seconds=totals.bucket_seconds)
    return (
        _environment()
        .get_template("report.html.j2")
        .generate(
            report=report,
            accesses=islice(accesses, rows),
            left_out=max(0, report.accesses - rows),
            rows=rows,
            style=Markup(style),  # noqa: S704 (a file of this package)
            policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
            all_chart=chart("Decisions over time", outcomes=ORDER, height=220),
            held_chart=chart("Denials, questions and errors over time", outcomes=_HELD, height=150),
            order=ORDER,
            outcomes={one.name: one.count for one in totals.outcomes},
            bar=bar,
            most_listed=_MOST_LISTED,
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        # Every value that is put into the page passes here before it is escaped.
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = _moment
    environment.filters["number"] = lambda value: f"{value:,}"
    environment.filters["cut"] = lambda text, characters=_TEXT_CHARACTERS: harmless(text, characters)
    environment.filters["plain"] = _plain
    return environment


def _shown(value: Any) -> Any:
    if isinstance(value, Markup):
        return value
    return "" if value is None else harmless(str(value))


def _moment(time: str) -> str:
    return time[:19].replace("T", " ")


def _plain(detail: dict[str, Any]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in detail.items())
