"""Which machines there should be, from a file such as an MDM's inventory gives: CSV, JSON or YAML."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

_MAX_BYTES = 64 * 1024 * 1024
#: What a column may be called in an inventory, in small letters and without blanks, `_` and `-`.
_NAMES = {
    "name": ("name", "computername", "devicename", "machine"),
    "host": ("host", "hostname", "dnsname", "fqdn"),
    "user": ("user", "username", "owner", "email", "useremail", "assigneduser"),
    "group": ("group", "team", "department", "site"),
}


class ExpectedError(Exception):
    """The file can't be read; one line that says why."""


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """A machine that should be there: its name in the fleet, its host's name, or both."""

    name: str = ""
    host: str = ""
    user: str = ""
    group: str = ""


class Inventory:
    """The machines of a file that somebody else writes, or none without one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._read: tuple[tuple[int, int, int], tuple[Expected, ...]] | None = None

    def machines(self) -> tuple[Expected, ...]:
        """Gives them, as the file is now; reads it only where it has changed. For any thread. Raises ExpectedError."""
        if self._path is None:
            return ()
        try:
            stat = self._path.stat()
        except OSError as error:
            raise ExpectedError(f"{self._path}: {error.strerror}") from None
        state, read = (stat.st_ino, stat.st_mtime_ns, stat.st_size), self._read
        if read is None or read[0] != state:
            self._read = read = (state, read_expected(self._path))
        return read[1]


def read_expected(path: Path) -> tuple[Expected, ...]:
    """Gives the machines of a file: a table with headings (`.csv`), or a list of names or of mappings. Raises ExpectedError."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ExpectedError(f"{path}: larger than {_MAX_BYTES} bytes")
        text = path.read_text(encoding="utf-8-sig")
        rows: Any = list(csv.DictReader(io.StringIO(text))) if path.suffix.lower() == ".csv" else yaml.safe_load(text)
    except OSError as error:
        raise ExpectedError(f"{path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error, yaml.YAMLError, RecursionError) as error:
        raise ExpectedError(f"{path}: can't be read as {path.suffix or 'YAML'} ({type(error).__name__})") from None
    if not isinstance(rows, list):
        raise ExpectedError(f"{path}: expected a list of machines")
    if not rows:
        # As if there were no file, nobody would be missing.
        raise ExpectedError(f"{path}: names no machine")
    found = []
    for number, row in enumerate(rows, 1):
        one = Expected(name=row) if isinstance(row, str) else _machine(row) if isinstance(row, dict) else Expected()
        if not one.name and not one.host:
            raise ExpectedError(
                f"{path}: machine {number} has neither a name nor a host ({', '.join(_NAMES['name'])}; host)"
            )
        found.append(one)
    return tuple(found)


def _machine(row: Mapping[Any, Any]) -> Expected:
    plain = {
        "".join(letter for letter in str(name).casefold() if letter not in " _-"): str(value).strip()
        for name, value in row.items()
        if name is not None and value is not None and not isinstance(value, list | dict)
    }
    said = {field: next((plain[name] for name in names if plain.get(name)), "") for field, names in _NAMES.items()}
    return Expected(**said)
