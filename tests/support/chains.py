"""A machine's chain as a collector is sent it, honest or not."""

from pathlib import Path

import msgspec

from hookgate.audit.chain import BEGINNING, Link, linked, taken_apart
from hookgate.audit.checkpoint import Signer
from hookgate.audit.record import ServiceRecord
from hookgate.audit.record import now as clock
from hookgate.audit.segments import segment_paths
from hookgate.audit.shipping.place import instance_of
from hookgate.audit.shipping.shipment import Shipment
from hookgate.audit.signing import SigningKey, signing_key
from hookgate.ids import uuid7
from tests.support.shipments import decision


def new_key() -> SigningKey:
    """Gives a key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return SigningKey(Ed25519PrivateKey.generate())


class Machine:
    """One journal without files: begun with its first line; `lines` has all, each without its line end."""

    def __init__(self, instance: str = "", key: SigningKey | None = None) -> None:
        self.instance = instance or uuid7()
        self.key = key or new_key()
        self.lines: list[bytes] = []
        self.ends: list[Link] = [BEGINNING]
        public = self.key.public
        self.say("chain_start", instance=self.instance, key_id=public.id, public_key=public.raw.hex())

    @classmethod
    def of(cls, directory: Path) -> "Machine":
        """Gives a journal that is in a directory, as it stands there and with the key that it has now."""
        made = object.__new__(cls)
        made.key = signing_key(directory)
        made.lines = [line for path in segment_paths(directory) for line in path.read_bytes().splitlines()]
        taken = [found for line in made.lines if (found := taken_apart(line)) is not None]
        made.ends = [BEGINNING, *(Link(found.seq, found.hash) for found in taken)]
        made.instance = instance_of(segment_paths(directory)[0])
        return made

    @property
    def public_key(self) -> str:
        """In hexadecimal."""
        return self.key.public.raw.hex()

    @property
    def shipments(self) -> list[Shipment]:
        """All lines as a shipper has them."""
        return [
            Shipment(line, end.seq, end.hash.decode(), self.instance)
            for line, end in zip(self.lines, self.ends[1:], strict=True)
        ]

    def write(self, record: bytes) -> None:
        """Writes a record (with its line end)."""
        line, end = linked(self.ends[-1], record)
        self.lines.append(line[:-1])
        self.ends.append(end)

    def say(self, kind: str, *, time: str = "", **detail: object) -> None:
        """Writes a record about the service."""
        record = ServiceRecord(
            type=kind, id=uuid7(), time=time or clock(), instance=self.instance, host="laptop", detail=detail
        )
        self.write(msgspec.json.encode(record) + b"\n")

    def decide(self, count: int = 1, **members: object) -> None:
        """Writes decisions."""
        for _ in range(count):
            made = msgspec.structs.replace(
                decision(len(self.lines), **members), instance=self.instance, host="laptop", time=clock()
            )
            self.write(msgspec.json.encode(made) + b"\n")

    def sign(self, key: SigningKey | None = None) -> None:
        """Writes a checkpoint."""
        self.write(Signer(self.instance, key or self.key).checkpoint(self.ends[-1]))

    def cut(self, count: int) -> "Machine":
        """Gives the same journal with its first so many lines only, as one from a copy that was brought back."""
        other = object.__new__(Machine)
        other.instance, other.key = self.instance, self.key
        other.lines, other.ends = self.lines[:count], self.ends[: count + 1]
        return other


def body(lines: list[bytes]) -> bytes:
    """Gives lines as a request's body."""
    return b"".join(line + b"\n" for line in lines)
