"""Checkpoints: signed lines that vouch for every line before them."""

from dataclasses import dataclass

import msgspec

from hookgate.audit.chain import Link
from hookgate.audit.error import UNREADABLE
from hookgate.audit.record import ServiceRecord, hostname, now
from hookgate.audit.signing import PublicKey, SigningKey
from hookgate.ids import uuid7

TYPE = "checkpoint"


class CheckpointDetail(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint says: the line that it vouches for, and with it all before; the signature in hexadecimal."""

    instance: str
    key_id: str
    covers_seq: int
    covers_hash: str
    signature: str


class CheckpointLine(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint as it stands in the journal, and as it is kept elsewhere."""

    seq: int
    hash: str
    type: str
    time: str
    detail: CheckpointDetail

    def signed_by(self, key: PublicKey) -> bool:
        """Tells whether the key has signed it."""
        detail = self.detail
        try:
            signature = bytes.fromhex(detail.signature)
        except ValueError:
            return False
        return key.signed(signed_text(detail.instance, detail.covers_seq, detail.covers_hash, self.time), signature)


@dataclass(frozen=True, slots=True)
class Signer:
    """Makes the checkpoints of one chain. `instance` is the chain's own id, made when it began."""

    instance: str
    key: SigningKey

    def checkpoint(self, end: Link) -> bytes:
        """Gives the record, with its line end, that vouches for the chain up to `end`."""
        time, seq, digest = now(), end.seq, end.hash.decode()
        signature = self.key.sign(signed_text(self.instance, seq, digest, time)).hex()
        return service_line(
            "checkpoint",
            {
                "instance": self.instance,
                "key_id": self.key.public.id,
                "covers_seq": seq,
                "covers_hash": digest,
                "signature": signature,
            },
            time,
            instance=self.instance,
        )


def signed_text(instance: str, covers_seq: int, covers_hash: str, time: str) -> bytes:
    """Gives the text that is signed."""
    return f"hookgate-checkpoint-v1\n{instance}\n{covers_seq}\n{covers_hash}\n{time}\n".encode("utf-8", "surrogatepass")


def checkpoint_from(line: bytes) -> CheckpointLine | None:
    """Gives the checkpoint that stands in a line, or None where none does."""
    try:
        found = msgspec.json.decode(line, type=CheckpointLine)
    except UNREADABLE:
        return None
    return found if found.type == TYPE else None


def service_line(kind: str, detail: dict[str, object], time: str = "", *, instance: str) -> bytes:
    """Gives the line of a record that the journal with this id itself makes, without its place in the chain."""
    record = ServiceRecord(type=kind, id=uuid7(), time=time or now(), instance=instance, host=hostname(), detail=detail)
    return msgspec.json.encode(record) + b"\n"
