"""What is known of users beside what a source says: a file of roles, groups and attributes."""

import csv
import io
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import msgspec
import yaml

_LISTS = ("roles", "groups")


@dataclass(frozen=True, slots=True)
class Entry:
    """One user."""

    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)


UNKNOWN = Entry()


def directory_parser(path: str) -> "Parser":
    """Gives what reads the file, by the ending of its name."""
    return Parser(is_csv=PurePath(path).suffix.lower() == ".csv")


@dataclass(frozen=True, slots=True)
class Parser:
    """Reads a directory."""

    is_csv: bool

    def __call__(self, raw: bytes) -> dict[str, Entry]:
        """Gives the entries by user. Raises ValueError, with what is wrong and where."""
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ValueError("is no UTF-8") from None
        return _from_csv(text) if self.is_csv else _from_yaml(text)


def _from_csv(text: str) -> dict[str, Entry]:
    """A first line with `user`, `roles`, `groups` and names of attributes; roles and groups are parted by semicolons."""
    reader = csv.DictReader(io.StringIO(text), strict=True)
    if "user" not in (reader.fieldnames or ()):
        raise ValueError("the first line names no column `user`")
    found: dict[str, Entry] = {}
    try:
        for row in reader:
            user = (row.pop("user") or "").strip()
            where = f"line {reader.line_num}"
            if not user or user in found:
                raise ValueError(f"{where}: the user is {'there twice' if user else 'empty'}")
            if None in row or None in row.values():
                raise ValueError(f"{where}: has another number of columns than the first line")
            lists = {
                name: tuple(part.strip() for part in row.pop(name, "").split(";") if part.strip()) for name in _LISTS
            }
            found[user] = Entry(lists["roles"], lists["groups"], {key: value.strip() for key, value in row.items()})
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from None
    return found


def _from_yaml(text: str) -> dict[str, Entry]:
    """A mapping of user to `roles`, `groups` and `attributes`; JSON is YAML."""
    try:
        tree = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ValueError(" ".join(str(error).split())[:200] or "is no YAML") from None
    if not isinstance(tree, dict):
        raise ValueError("expected a mapping of users")  # noqa: TRY004 (what is wrong is the file)
    return {str(user): _entry(str(user), value or {}) for user, value in tree.items()}


def _entry(user: str, value: Any) -> Entry:
    if not isinstance(value, dict) or value.keys() - {*_LISTS, "attributes"}:
        raise ValueError(f"{user}: expected roles, groups and attributes")
    lists = {}
    for name in _LISTS:
        items = value.get(name) or []
        if not isinstance(items, list) or not all(isinstance(item, str) and item for item in items):
            raise ValueError(f"{user}.{name}: expected a list of texts")
        lists[name] = tuple(items)
    attributes = value.get("attributes") or {}
    try:
        # Dates and what else YAML knows become text: policies and records are JSON.
        plain = msgspec.json.decode(msgspec.json.encode(attributes))
    except (TypeError, ValueError, RecursionError):
        plain = None
    if not isinstance(plain, dict):
        raise ValueError(f"{user}.attributes: expected a mapping of JSON values")  # noqa: TRY004 (likewise)
    return Entry(lists["roles"], lists["groups"], plain)
