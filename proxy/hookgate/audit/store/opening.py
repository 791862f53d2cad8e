"""Opens a store by what names it: a file's path, or the URL of a PostgreSQL database."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from hookgate.audit.store.asked import SqlStore
from hookgate.audit.store.question import Store, StoreError
from hookgate.audit.store.sqlite import SqliteDatabase
from hookgate.config.url import postgres_fault

_POSTGRES = re.compile(r"postgres(ql)?://", re.IGNORECASE)
#: Meant as a URL, of whatever kind: it may have a password, and is repeated nowhere.
_URL = re.compile(r".*://|/*[^/]*:.*@", re.DOTALL)


def open_store(where: str | Path, *, schema: str = "hookgate", limit_seconds: float | None = None) -> Store:
    """Gives the store for reading. `schema` is that of PostgreSQL's tables, unless the URL itself names one
    (`?search_path=NAME`). `limit_seconds`: how long a statement may take; then TooLongError is raised. Raises StoreError."""
    if isinstance(where, str) and _POSTGRES.match(where):
        if fault := postgres_fault(where):
            raise StoreError(f"the store's URL {fault}")
        # Only here, so that nobody else needs the driver.
        try:
            from hookgate.audit.store.postgres import PostgresDatabase  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise StoreError(f"the module {error.name} is missing: pip install 'hookgate[postgres]'") from None
        chosen = parse_qs(urlsplit(where).query).get("search_path", [schema])[-1]
        return SqlStore(
            PostgresDatabase(where, chosen)
            if limit_seconds is None
            else PostgresDatabase(where, chosen, limit_seconds=limit_seconds)
        )
    if isinstance(where, str) and _URL.match(where):
        raise StoreError(
            "the store's URL is none of PostgreSQL's: expected postgresql://…, or the path of a SQLite file"
        )
    path = Path(where)
    if path.is_dir():
        raise StoreError(f"{path}: a directory: name the store's file in it")
    return SqlStore(SqliteDatabase(path, limit_seconds=limit_seconds))
