"""Opens a store by what names it: a file's path, or the URL of a PostgreSQL database."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from hookgate.audit.store.asked import SqlStore
from hookgate.audit.store.question import Store, StoreError
from hookgate.audit.store.sqlite import SqliteDatabase

_POSTGRES = ("postgres://", "postgresql://")


def open_store(where: str | Path, *, schema: str = "hookgate") -> Store:
    """Gives the store for reading. `schema` is that of PostgreSQL's tables, unless the URL itself names one
    (`?search_path=NAME`). Raises StoreError."""
    if isinstance(where, str) and where.startswith(_POSTGRES):
        # Only here, so that nobody else needs the driver.
        try:
            from hookgate.audit.store.postgres import PostgresDatabase  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise StoreError(f"the module {error.name} is missing: pip install 'hookgate[postgres]'") from None
        chosen = parse_qs(urlsplit(where).query).get("search_path", [schema])[-1]
        return SqlStore(PostgresDatabase(where, chosen))
    return SqlStore(SqliteDatabase(Path(where)))
