"""The store: what of the records can be asked quickly, in SQLite or PostgreSQL."""
