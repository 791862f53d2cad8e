"""Decision ids: UUIDv7, so that records sort by time (RFC 9562, 5.7)."""

import os
import time

_HEX = tuple(f"{i:02x}" for i in range(256))


def uuid7() -> str:
    """Gives a new UUIDv7 in its canonical 36-character form."""
    millis = time.time_ns() // 1_000_000
    tail = os.urandom(10).hex()
    head = f"{millis:012x}"
    variant = _HEX[0x80 | (int(tail[3:5], 16) & 0x3F)]
    return f"{head[:8]}-{head[8:]}-7{tail[:3]}-{variant}{tail[5:7]}-{tail[7:19]}"
