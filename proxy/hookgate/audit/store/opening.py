"""Opens a store by what names it: a file's path, or the URL of a PostgreSQL database."""

from pathlib import Path

from hookgate.audit.store.asked import SqlStore
from hookgate.audit.store.question import Store
from hookgate.audit.store.sqlite import SqliteDatabase

_POSTGRES = ("postgres://", "postgresql://")


def open_store(where: str | Path, *, schema: str = "hookgate") -> Store:
    """Gives the store for reading; `schema` is that of PostgreSQL's tables. Raises StoreError."""
    if isinstance(where, str) and where.startswith(_POSTGRES):
        # Only here, so that nobody else needs the driver.
        from hookgate.audit.store.postgres import PostgresDatabase  # noqa: PLC0415

        return SqlStore(PostgresDatabase(where, schema))
    return SqlStore(SqliteDatabase(Path(where)))
