"""The record of segments that were removed: with the hash of their last line, where what is left begins, and signed."""

import msgspec

from hookgate.audit.checkpoint import Signer, service_line
from hookgate.audit.record import now
from hookgate.audit.signing import PublicKey

TYPE = "retention"


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """Segments that go: all lines from `first_seq` to `last_seq`, and so all before that."""

    first_seq: int
    last_seq: int
    #: Hash of the last line, in hexadecimal; it is what the next one names as the hash before it.
    last_hash: str
    segments: int
    bytes: int
    #: `age`, or `disk` where they had to make room.
    why: str
    #: Of each shipper that had not got all of them, how many lines it missed.
    missed: dict[str, int] = {}


class SignedRemoval(Removal, frozen=True, kw_only=True):
    """A removal as it stands in the journal; the signature in hexadecimal."""

    key_id: str
    signature: str

    def signed_by(self, key: PublicKey, instance: str, time: str) -> bool:
        """Tells whether the key has signed it, for the chain with this id, at this time."""
        try:
            signature = bytes.fromhex(self.signature)
        except ValueError:
            return False
        return key.signed(_signed_text(self, instance, time), signature)


def removal_line(removal: Removal, signer: Signer) -> bytes:
    """Gives the record of a removal, with its line end, without its place in the chain."""
    time = now()
    return service_line(
        "retention",
        {
            "first_seq": removal.first_seq,
            "last_seq": removal.last_seq,
            "last_hash": removal.last_hash,
            "segments": removal.segments,
            "bytes": removal.bytes,
            "why": removal.why,
            "missed": removal.missed,
            "key_id": signer.key.public.id,
            "signature": signer.key.sign(_signed_text(removal, signer.instance, time)).hex(),
        },
        time,
        instance=signer.instance,
    )


def _signed_text(removal: Removal, instance: str, time: str) -> bytes:
    """A checkpoint vouches for the record too, but whoever can write the files could put one where a start signs it."""
    missed = ",".join(f"{name}={count}" for name, count in sorted(removal.missed.items()))
    parts = (
        "hookgate-retention-v1",
        instance,
        removal.first_seq,
        removal.last_seq,
        removal.last_hash,
        removal.segments,
        removal.bytes,
        removal.why,
        missed,
        time,
    )
    return "".join(f"{part}\n" for part in parts).encode("utf-8", "surrogatepass")
