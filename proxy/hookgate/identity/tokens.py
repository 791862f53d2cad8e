"""Static bearer tokens: random, stored as digests only."""

import contextlib
import fcntl
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from hookgate.config.identity import TokenSource
from hookgate.errors import ErrorKind, GateError
from hookgate.identity.connection import Connection
from hookgate.identity.fields import bearer, field, is_unfilled
from hookgate.identity.found import Found
from hookgate.identity.principal import Source
from hookgate.identity.watched import Watch, WatchedFile

#: What a token begins with; its id and 256 random bits follow, parted by underscores.
PREFIX = "hgt_"
_ID_BYTES, _SECRET_BYTES = 6, 32
#: Compared with where no token of that id is there, so that the time does not tell.
_NO_DIGEST = "0" * 64


class Token(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token as it is kept. `expires` is a time in UTC, or None for never."""

    id: str
    sha256: str
    user: str
    roles: tuple[str, ...] = ()
    created: datetime
    expires: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Whether it has not run out."""
        return self.expires is None or now < self.expires


class TokenList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a token file."""

    tokens: tuple[Token, ...] = ()


def parse_tokens(raw: bytes) -> dict[str, Token]:
    """Gives the tokens by id. Raises ValueError."""
    try:
        found = msgspec.json.decode(raw or b"{}", type=TokenList)
    except msgspec.DecodeError as error:
        raise ValueError(f"is no token file: {error}") from None
    if any(token.expires is not None and token.expires.tzinfo is None for token in found.tokens):
        raise ValueError("is no token file: a time without a zone")
    return {token.id: token for token in found.tokens}


def digest_of(token: str) -> str:
    """Gives what is kept of a token. Its 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


class Tokens:
    """The tokens of a file."""

    def __init__(self, config: TokenSource, watch: Watch, *, leaves_others: bool) -> None:
        self._config = config
        self._watch = watch
        self._leaves_others = leaves_others
        self._file = WatchedFile(config.file, parse_tokens, watch)
        self.run = self._file.run

    async def find(self, headers: Mapping[str, str], connection: Connection) -> Found | None:
        """Gives whose token it is."""
        text = bearer(headers, self._config.header)
        if text is None and is_unfilled(field(headers, self._config.header)):
            self._watch.unfilled(self._config.header)
        if text is None or (self._leaves_others and not text.startswith(PREFIX)):
            return None
        parts = text.split("_", 2)
        token = self._file.value.get(parts[1]) if text.startswith(PREFIX) and len(parts) == 3 else None
        same = hmac.compare_digest(digest_of(text), token.sha256 if token else _NO_DIGEST)
        if token is None or not same:
            raise GateError(ErrorKind.IDENTITY_INVALID, "the token is not known, or was revoked")
        if not token.is_valid(datetime.now(UTC)):
            raise GateError(
                ErrorKind.IDENTITY_INVALID, f"the token {token.id} has run out", hint="Your token has run out."
            )
        return Found(token.user, Source.TOKEN, self._config.roles, roles=token.roles, claims={"token_id": token.id})


class TokenFile:
    """The file as the command changes it: whole or not at all, by one at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def tokens(self) -> dict[str, Token]:
        """Gives the tokens by id; none where there is no file yet. Raises ValueError, OSError."""
        try:
            return parse_tokens(self._path.read_bytes())
        except FileNotFoundError:
            return {}

    def create(self, user: str, roles: tuple[str, ...], expires: datetime | None) -> tuple[str, Token]:
        """Adds a token. Gives its text, which nobody can tell again, and what is kept of it."""
        identity = secrets.token_hex(_ID_BYTES)
        text = f"{PREFIX}{identity}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        token = Token(
            id=identity,
            sha256=digest_of(text),
            user=user,
            roles=roles,
            created=datetime.now(UTC).replace(microsecond=0),
            expires=expires,
        )
        with self._changing() as tokens:
            tokens[identity] = token
        return text, token

    def revoke(self, identity: str) -> Token | None:
        """Takes a token out; gives what it was, or None where there is none of that id."""
        with self._changing() as tokens:
            return tokens.pop(identity, None)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, Token]]:
        lock = os.open(self._path.with_name(self._path.name + ".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            tokens = self.tokens()
            yield tokens
            self._write(tokens)
        finally:
            os.close(lock)

    def _write(self, tokens: dict[str, Token]) -> None:
        """Under another name first; the owner and mode of the file stay, so that the service can still read it."""
        new = self._path.with_name(self._path.name + ".new")
        content = msgspec.json.format(msgspec.json.encode(TokenList(tuple(tokens.values()))), indent=2) + b"\n"
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        descriptor = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            with contextlib.suppress(FileNotFoundError):
                before = self._path.stat()
                os.fchmod(descriptor, before.st_mode & 0o777)
                with contextlib.suppress(PermissionError):
                    os.fchown(descriptor, before.st_uid, before.st_gid)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        new.replace(self._path)
