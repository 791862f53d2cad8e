"""Another key for a chain: the one that has signed until now announces the one that comes after it."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hookgate.audit.checkpoint import Signer, service_line
from hookgate.audit.draft import write_whole
from hookgate.audit.error import JournalError
from hookgate.audit.segments import sync_directory
from hookgate.audit.signing import PRIVATE_NAME, PublicKey, SigningKey, loaded_key, signing_key

#: The key that waits for its turn.
NEXT_NAME = "signing-next.key"


def key_text(instance: str, previous_key_id: str, public_key: str) -> bytes:
    """Gives the text by which a chain's key announces the one that comes after it (in hexadecimal)."""
    return f"hookgate-key-v1\n{instance}\n{previous_key_id}\n{public_key}\n".encode("utf-8", "surrogatepass")


def is_announced(instance: str, previous: PublicKey, key: PublicKey, signature: str) -> bool:
    """Tells whether a chain's key has signed that another one follows it; `signature` is hexadecimal."""
    try:
        signed = bytes.fromhex(signature)
    except ValueError:
        return False
    return previous.signed(key_text(instance, previous.id, key.raw.hex()), signed)


def changed_line(instance: str, previous_key_id: str, key: PublicKey, signature: str = "") -> bytes:
    """Gives the record that another key signs from here on, with its line end."""
    return service_line(
        "key_changed",
        {
            "previous_key_id": previous_key_id,
            "key_id": key.id,
            "public_key": key.raw.hex(),
            "signature": signature,
        },
        instance=instance,
    )


def announcement(signer: Signer, key: PublicKey) -> bytes:
    """Gives the record by which a chain's key announces the one that comes after it, with its line end."""
    own = signer.key.public.id
    signature = signer.key.sign(key_text(signer.instance, own, key.raw.hex())).hex()
    return changed_line(signer.instance, own, key, signature)


def ask_for(directory: Path, given: Path | None = None) -> SigningKey:
    """Has a key wait for its turn: the one of a PEM file, else the one that waits already, else one that is made. Gives it.
    Raises OSError, JournalError."""
    path = directory / NEXT_NAME
    if given is not None:
        if path.exists():
            # It may be the only copy of a key that the chain goes on with.
            raise JournalError(
                f"{path} waits for its turn already: first have that one taken up, without a key of your own"
            )
        try:
            key = loaded_key(given)
        except JournalError:
            what = "is no Ed25519 key (PEM, without a passphrase): `openssl genpkey -algorithm ed25519` makes one"
            raise JournalError(f"{given} {what}") from None
    elif path.exists():
        return loaded_key(path)
    else:
        key = SigningKey(Ed25519PrivateKey.generate())
    write_whole(path, key.pem())
    return key


def waiting_key(directory: Path) -> SigningKey | None:
    """Gives the key that waits for its turn, None where none does. Raises OSError, JournalError."""
    path = directory / NEXT_NAME
    return loaded_key(path) if path.exists() else None


def put_in_place(directory: Path, key: SigningKey) -> None:
    """Has the key that waited be the directory's, once the chain goes on with it; the one before is gone but for its public
    half. Raises OSError."""
    (directory / NEXT_NAME).replace(directory / PRIVATE_NAME)
    sync_directory(directory)
    key.keep(directory)


def chains_key(directory: Path, last_key_id: str) -> SigningKey:
    """Gives the directory's key, or makes it. `last_key_id` signed last: where that is the key that waits, its announcement was
    written, and then the process died. Raises OSError, or JournalError where what is there is no such key."""
    try:
        following = waiting_key(directory) if last_key_id else None
    except (OSError, JournalError):
        # A key that nobody can read takes no turn; it keeps no chain from going on.
        following = None
    if following is not None and following.public.id == last_key_id:
        put_in_place(directory, following)
    return signing_key(directory)
