"""The result as one page of HTML: no script, nothing from elsewhere."""

import hashlib
from base64 import b64encode
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hookgate.harmless import harmless
from hookgate.whatif.model import Result
from hookgate.whatif.words import CHANGES, WHYS


def page(result: Result) -> str:
    """Gives the page."""
    # It looks like the auditor's report: they lie side by side in a review.
    style = files("hookgate.audit.report").joinpath("report.css").read_text(encoding="utf-8")
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        _environment()
        .get_template("whatif.html.j2")
        .render(
            result=result,
            style=Markup(style),  # noqa: S704 (a file of this package)
            policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
            changes=CHANGES,
            whys=WHYS,
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        # Every value that is put into the page passes here before it is escaped.
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = lambda time: time[:19].replace("T", " ").rstrip("Z")
    environment.filters["number"] = lambda value: f"{value:,}"
    environment.filters["cut"] = lambda text, characters=300: harmless(text, characters)
    environment.filters["share"] = share
    return environment


def share(part: int, whole: int) -> str:
    """Gives a share in percent; empty of nothing."""
    return f"{part * 100 / whole:.2f} %" if whole else ""


def _shown(value: Any) -> Any:
    if isinstance(value, Markup):
        return value
    return "" if value is None else harmless(str(value))
