"""Header fields (RFC 7541), without state on either side: no dynamic table, so equal blocks mean equal fields."""

from collections.abc import Iterable

from hpack import Decoder, HPACKError

from hookgate.pdp.http2.frames import COMPRESSION_ERROR, ProtocolError

#: All fields of one block together, as bytes and as HTTP/2 counts them.
MAX_BLOCK_BYTES = 64 * 1024
#: Blocks that are remembered: a server's answers begin and end in the same ones.
_KNOWN_BLOCKS, _KNOWN_BLOCK_BYTES = 64, 512

Fields = tuple[tuple[bytes, bytes], ...]


def block(fields: Iterable[tuple[str, str]]) -> bytes:
    """Gives fields as literals that nobody is to remember (RFC 7541, 6.2.2); blocks can be joined."""
    made = bytearray()
    for name, value in fields:
        raw_name, raw_value = name.encode("ascii"), value.encode("ascii")
        made += b"\0" + _length(raw_name) + raw_name + _length(raw_value) + raw_value
    return bytes(made)


def _length(text: bytes) -> bytes:
    """An integer with a prefix of seven bits (RFC 7541, 5.1)."""
    length = len(text)
    if length < 127:
        return bytes((length,))
    made, length = bytearray((127,)), length - 127
    while length >= 128:
        made.append(length % 128 + 128)
        length //= 128
    made.append(length)
    return bytes(made)


class FieldReader:
    """Reads blocks from one server that was told to keep no table."""

    def __init__(self) -> None:
        self._known: dict[bytes, Fields] = {}

    def read(self, raw: bytes) -> Fields:
        """Gives a block's fields. Raises ProtocolError."""
        found = self._known.get(raw)
        if found is not None:
            return found
        # One for each block: nothing that an earlier one held can be meant.
        decoder = Decoder(max_header_list_size=MAX_BLOCK_BYTES)
        decoder.header_table_size = decoder.max_allowed_table_size = 0
        try:
            fields = tuple((bytes(name), bytes(value)) for name, value in decoder.decode(raw, raw=True))
        except (HPACKError, UnicodeError) as error:
            raise ProtocolError(COMPRESSION_ERROR, f"header fields: {type(error).__name__}") from None
        if len(raw) <= _KNOWN_BLOCK_BYTES and len(self._known) < _KNOWN_BLOCKS:
            self._known[raw] = fields
        return fields
