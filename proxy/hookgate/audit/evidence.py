"""Whether a row of a store is what was recorded."""

from hookgate.audit.store.question import Entry


def is_reduced(entry: Entry) -> bool:
    """Whether a shipper made the record smaller on its way, since the store would not take it whole: it has no hash then."""
    return not entry.hash and entry.record.get("reduced") is True


def row_holds(entry: Entry) -> bool:
    """Whether the hash that is noted in a row is that of its content: it was not changed since, or only together with it."""
    return bool(entry.hash) and entry.hash == entry.record.get("hash") and entry.seq == entry.record.get("seq")
