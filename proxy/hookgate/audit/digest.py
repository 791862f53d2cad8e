"""Keyed digests: they stand for what is not recorded, and tell equal things, but without the key nothing can be found by trying.

Each purpose has a key of its own, the HMAC-SHA-256 of `hookgate PURPOSE v1` under the key of the journal's directory. A
digest is the HMAC-SHA-256 under that key, in hexadecimal.
"""

import hmac
from enum import StrEnum
from typing import Any

import msgspec


class Purpose(StrEnum):
    """What a digest is made of; one made for another purpose never equals it."""

    #: A secret, as it stood in the text.
    SECRET = "secret"  # noqa: S105 (no password)
    #: A text that is cut in a record, whole and as it came.
    TEXT = "text"
    #: A request's body, byte by byte.
    BODY = "body"
    #: A tool's input as canonical JSON.
    INPUT = "input"
    #: A tool's response as it stands in the body.
    RESPONSE = "response"
    #: A setting's value as canonical JSON.
    SETTING = "setting"


class Digests:
    """Makes them; `key` is that of the journal's directory (32 bytes)."""

    def __init__(self, key: bytes) -> None:
        self._keys = {
            purpose: hmac.digest(key, f"hookgate {purpose.value} v1".encode(), "sha256") for purpose in Purpose
        }

    def of(self, purpose: Purpose, content: bytes | bytearray | memoryview) -> str:
        """Gives the digest of some bytes, 64 characters. Other threads go on while much is digested."""
        return hmac.digest(self._keys[purpose], content, "sha256").hex()

    def of_text(self, purpose: Purpose, text: str) -> str:
        """Gives the digest of a text in UTF-8."""
        return self.of(purpose, text.encode("utf-8", "surrogatepass"))

    def of_json(self, purpose: Purpose, value: Any) -> str:
        """Gives the digest of a JSON value in its canonical form."""
        return self.of(purpose, canonical(value))


def canonical(value: Any) -> bytes:
    """Gives JSON with the members of each object in the order of their names, without spaces, in UTF-8."""
    return msgspec.json.encode(value, order="deterministic")
