"""The key that signs checkpoints: an Ed25519 key in the journal's directory, made on first start or put there before."""

import hashlib
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from hookgate.audit.draft import write_whole
from hookgate.audit.error import JournalError

PRIVATE_NAME = "signing.key"
PUBLIC_NAME = "signing.pub"
#: Public keys that signed before, each named for its id: what they signed may outlive the line that introduced them.
_FORMER_NAMES = "signing-*.pub"
_ID_CHARACTERS = 16


class PublicKey:
    """What tells whether a checkpoint was signed by its key."""

    def __init__(self, raw: bytes) -> None:
        """Takes the 32 bytes of the key. Raises ValueError where they are none."""
        self._key = Ed25519PublicKey.from_public_bytes(raw)
        self.raw = raw
        #: The first characters of the SHA-256 of the raw key, in hexadecimal.
        self.id = hashlib.sha256(raw).hexdigest()[:_ID_CHARACTERS]

    def signed(self, text: bytes, signature: bytes) -> bool:
        """Tells whether the text was signed by this key."""
        try:
            self._key.verify(signature, text)
        except InvalidSignature:
            return False
        return True

    def pem(self) -> bytes:
        """Gives the key in PEM."""
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class SigningKey:
    """What signs checkpoints."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key().public_bytes_raw())

    def sign(self, text: bytes) -> bytes:
        """Gives the text's signature."""
        return self._key.sign(text)

    def pem(self) -> bytes:
        """Gives the key, the private one, in PEM."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def keep(self, directory: Path) -> None:
        """Writes the key and its public one into a directory where they are missing or others. Raises OSError."""
        private, public = directory / PRIVATE_NAME, directory / PUBLIC_NAME
        if not private.exists():
            write_whole(private, self.pem())
        if not public.exists() or public.read_bytes() != self.public.pem():
            with suppress(JournalError):
                if (former := public_key(directory)) is not None:
                    public.replace(directory / _FORMER_NAMES.replace("*", former.id))
            write_whole(public, self.public.pem())


def signing_key(directory: Path) -> SigningKey:
    """Gives the directory's key; makes it on first use, readable by its owner only, and writes the public one beside it.

    Raises OSError, or JournalError where what is there is no such key.
    """
    path = directory / PRIVATE_NAME
    key = loaded_key(path) if path.exists() else SigningKey(Ed25519PrivateKey.generate())
    key.keep(directory)
    return key


def public_key(directory: Path) -> PublicKey | None:
    """Gives the public key that lies in the directory, None where there is none. Raises JournalError."""
    return _read(directory / PUBLIC_NAME)


def former_keys(directory: Path) -> list[PublicKey]:
    """Gives the public keys that lie in the directory besides, from times before the key was changed. Raises JournalError."""
    return [key for path in sorted(directory.glob(_FORMER_NAMES)) if (key := _read(path)) is not None]


def loaded_key(path: Path) -> SigningKey:
    """Gives the key in a file (PEM). Raises OSError, or JournalError where there is no such key."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise JournalError(
            f"audit.directory: {path} is damaged: put the right key back, or remove it to have a new one made"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise JournalError(f"audit.directory: {path} is no Ed25519 key: `openssl genpkey -algorithm ed25519` makes one")
    return SigningKey(key)


def _read(path: Path) -> PublicKey | None:
    try:
        found = load_pem_public_key(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise JournalError(f"{path} is no public key") from None
    if not isinstance(found, Ed25519PublicKey):
        raise JournalError(f"{path} is no Ed25519 key")
    return PublicKey(found.public_bytes_raw())
