"""Whether a row of a store is what the journal's line was."""

from typing import Any

import msgspec

from hookgate.audit.chain import digest

_PLACE = ("seq", "prev", "hash")


def record_holds(record: dict[str, Any]) -> bool:
    """Whether a record's own hash is that of its content: it was not changed since it was written, or only together with it.

    The JSON of a record is written by one encoder, so that what is read and written again is the same to the byte.
    """
    try:
        body = {key: value for key, value in record.items() if key not in _PLACE}
        found = digest(str(record["prev"]).encode(), int(record["seq"]), msgspec.json.encode(body))
        return found == str(record["hash"]).encode()
    except (KeyError, ValueError, TypeError, OverflowError):
        return False
