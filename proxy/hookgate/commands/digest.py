"""`hookgate audit digest` and `hookgate audit schema`: what is needed to read records without Hookgate's help."""

import asyncio
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hookgate.audit.digest import Digests, Purpose
from hookgate.audit.error import JournalError
from hookgate.audit.key import read_key
from hookgate.audit.redact import CUT_DIGEST_CHARACTERS, DIGEST_CHARACTERS
from hookgate.audit.schema import text as schema_text
from hookgate.commands.fault import stop_with
from hookgate.errors import GateError
from hookgate.hooks.decode import Reader

_NO_BOUND = 2**62


class Kind(StrEnum):
    """What is digested."""

    BODY = "body"
    INPUT = "input"
    RESPONSE = "response"
    SECRET = "secret"  # noqa: S105 (no password)
    TEXT = "text"


#: As much of a digest as records tell; of others all.
_TOLD_CHARACTERS = {Kind.SECRET: DIGEST_CHARACTERS, Kind.TEXT: CUT_DIGEST_CHARACTERS}


def digest(
    file: Annotated[
        Path, typer.Argument(help="What is suspected, in a file; `-` for standard input.", allow_dash=True)
    ],
    directory: Annotated[
        Path, typer.Argument(help="The journal's directory, for its key.", envvar="HOOKGATE__AUDIT__DIRECTORY")
    ] = Path("/var/lib/hookgate/audit"),
    kind: Annotated[
        Kind,
        typer.Option(
            help="`body`: a request's body (`body_digest`). `input`: a tool's input as JSON (`input_digest`). `response`: a "
            "tool's response as JSON in the very form that it came in (`response_digest`). `secret`: one that was taken out "
            "(`[redacted:KIND:DIGEST]`), `text`: one that was cut; without a line end behind it."
        ),
    ] = Kind.SECRET,
) -> None:
    """Print the keyed digest that records have of something, to look for it in them.

    Whoever can read the key can find short secrets by trying: it is made for an investigation, on the journal's machine or with a
    copy of `redaction.key` in a directory of its own.
    """
    try:
        digests = Digests(read_key(directory))
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except JournalError as error:
        stop_with(str(error))
    except OSError as error:
        stop_with(f"{file}: {error.strerror}")
    if kind is Kind.INPUT:
        found = digests.of_json(Purpose.INPUT, _object(file, content))
    elif kind in _TOLD_CHARACTERS:
        found = digests.of(Purpose(kind.value), content.removesuffix(b"\n").removesuffix(b"\r"))
    else:
        found = digests.of(Purpose(kind.value), content)
    typer.echo(found[: _TOLD_CHARACTERS.get(kind)])


def schema() -> None:
    """Print the JSON Schema of records: a line of the journal, of every type."""
    typer.echo(schema_text(), nl=False)


def _object(file: Path, content: bytes) -> object:
    """As the service reads it: numbers beyond a double's reach and lone surrogates are others there, too."""
    reader = Reader(values=_NO_BOUND, cut_bytes=_NO_BOUND, whole_bytes=_NO_BOUND)
    try:
        return asyncio.run(reader.read(content)).value
    except GateError as error:
        stop_with(f"{file}: no tool input in JSON: {error.detail}")
