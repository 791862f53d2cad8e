"""The report into a file: HTML, JSON or CSV, piece by piece."""

import json
from collections.abc import Iterator
from enum import StrEnum

import msgspec

from hookgate.audit.report.html import page
from hookgate.audit.report.model import Access, Report
from hookgate.audit.report.scratch import Scratch
from hookgate.harmless import csv_line


class Form(StrEnum):
    """What a report is written as."""

    HTML = "html"
    JSON = "json"
    CSV = "csv"


def written(report: Report, scratch: Scratch, form: Form, rows: int) -> Iterator[bytes]:
    """Gives the report's bytes; `rows` bounds the accesses in HTML."""
    match form:
        case Form.HTML:
            yield from (piece.encode() for piece in page(report, scratch.accesses(rows), rows))
        case Form.JSON:
            yield from _as_json(report, scratch)
        case Form.CSV:
            yield csv_line(Access.__struct_fields__).encode()
            yield from (csv_line(map(_cell, msgspec.structs.astuple(one))).encode() for one in scratch.accesses())


def _as_json(report: Report, scratch: Scratch) -> Iterator[bytes]:
    """One object, ASCII only: the report's fields, and all accesses as `access_list`, one a line."""
    yield json.dumps(msgspec.to_builtins(report), indent=1).encode().removesuffix(b"\n}") + b',\n "access_list": ['
    between = b"\n  "
    for access in scratch.accesses():
        yield between + json.dumps(msgspec.to_builtins(access)).encode()
        between = b",\n  "
    yield b"\n ]\n}\n"


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    return "" if value is None else str(value)
