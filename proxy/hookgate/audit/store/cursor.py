"""Where a page ends, as a text that can be handed around."""

import base64
import binascii
import hashlib
import struct
from typing import NamedTuple

import msgspec

from hookgate.audit.store.question import Filter, StoreError

_FORM = struct.Struct(">qq8s")


class Place(NamedTuple):
    """The last row of a page."""

    time: int
    key: int


def cursor_of(place: Place, wanted: Filter, *, oldest_first: bool) -> str:
    """Gives the cursor of a page's end."""
    kept = _FORM.pack(place.time, place.key, _question(wanted, oldest_first))
    return base64.urlsafe_b64encode(kept).decode().rstrip("=")


def place_of(cursor: str, wanted: Filter, *, oldest_first: bool) -> Place | None:
    """Gives the place; None for the empty cursor. Raises StoreError for a cursor that is none, or of another question.

    The question's period does not count: `--since 2d` is another time when the next page is asked for.
    """
    if not cursor:
        return None
    try:
        kept = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        time, key, question = _FORM.unpack(kept)
    except (ValueError, binascii.Error, struct.error):
        raise StoreError("the cursor is none that a search has given: leave it out to begin anew") from None
    if question != _question(wanted, oldest_first):
        raise StoreError("the cursor is another search's: ask with the same filters, or leave it out to begin anew")
    return Place(time, key)


def _question(wanted: Filter, oldest_first: bool) -> bytes:
    timeless = msgspec.structs.replace(wanted, since=None, until=None)
    asked = msgspec.json.encode([timeless, oldest_first], order="deterministic")
    return hashlib.blake2b(asked, digest_size=8).digest()
