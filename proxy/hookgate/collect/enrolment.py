"""Who may append: journals that were enrolled with a one-time code, or with a certificate that the fleet's management gave out."""

import hashlib
import re
import secrets
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from hookgate.audit.shipping.shipment import Shipment
from hookgate.audit.signing import PublicKey
from hookgate.audit.store.fleet import FleetKind, Progress
from hookgate.collect.appending import progress_of, save
from hookgate.collect.arrivals import arrive
from hookgate.collect.session import Database, Session
from hookgate.collect.trail import Told, trail
from hookgate.harmless import harmless

#: What a token and a code begin with.
TOKEN_PREFIX, CODE_PREFIX = "hgi_", "hgc_"
_INSTANCE = re.compile(r"[0-9a-zA-Z-]{8,64}")
_SECRET_BYTES, _CODE_BYTES = 32, 18
_NAME_CHARACTERS = 120
_TURN = "enrolment"


class EnrolmentError(Exception):
    """Somebody can't be enrolled; says why."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants to append: the chain's id, its public key in hexadecimal, and that key's signature (see `proof_text`)."""

    instance: str
    public_key: str
    signature: str
    code: str = ""


class Holder(NamedTuple):
    """Whose a credential is."""

    instance: str
    is_revoked: bool


Held = dict[str, Holder]


class Revoked(NamedTuple):
    """The ids of journals that may send nothing more, and how many codes enrol nobody any more."""

    instances: tuple[str, ...]
    codes: int


class Proven(NamedTuple):
    """Who has proved to have a journal's key."""

    instance: str
    key: PublicKey


def digest_of(secret: str) -> str:
    """Gives what is kept of a token or a code. Their random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def proof_text(instance: str, challenge: str) -> bytes:
    """Gives the text that the journal's key signs to be enrolled: `challenge` is the code's digest, or the certificate's."""
    return f"hookgate-enroll-v1\n{instance}\n{challenge}\n".encode()


def proven(request: Request, challenge: str) -> Proven:
    """Gives who asks. Raises EnrolmentError where nothing proves it."""
    if not _INSTANCE.fullmatch(request.instance):
        raise EnrolmentError("instance: is no chain's id")
    try:
        key, signature = PublicKey(bytes.fromhex(request.public_key)), bytes.fromhex(request.signature)
    except ValueError:
        raise EnrolmentError("public_key or signature: is none") from None
    if not key.signed(proof_text(request.instance, challenge), signature):
        raise EnrolmentError("signature: was not made by that key for this code or certificate")
    return Proven(request.instance, key)


async def issue_code(database: Database, name: str, *, now: int, expires: int) -> str:
    """Makes a code that enrols one journal under a name. Times in microseconds. Raises DatabaseError."""
    code = CODE_PREFIX + secrets.token_urlsafe(_CODE_BYTES)
    async with database.transaction() as session:
        await session.rows("DELETE FROM code WHERE expires < $1 AND used = 0", now)
        await session.rows(
            "INSERT INTO code (sha256, name, created, expires, used, instance) VALUES ($1, $2, $3, $4, 0, '')",
            *(digest_of(code), harmless(name, _NAME_CHARACTERS), now, expires),
        )
        await _record(session, [Told("fleet_code", {"name": name})], database)
    return code


async def enroll_by_code(database: Database, request: Request, *, now: int) -> tuple[str, str]:
    """Enrols who has a code; gives its name and a token, whose digest alone is kept. Raises EnrolmentError, DatabaseError."""
    digest = digest_of(request.code)
    who = proven(request, digest)
    token = TOKEN_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    async with database.transaction() as session:
        await _turn(session, database)
        rows = await session.rows(
            f"SELECT name FROM code WHERE sha256 = $1 AND used = 0 AND expires >= $2{database.for_update}",  # noqa: S608 (no value)
            *(digest, now),
        )
        if not rows:
            raise EnrolmentError("the code is not known, was used, or has run out")
        name: str = rows[0][0]
        await session.rows("UPDATE code SET used = $1, instance = $2 WHERE sha256 = $3", now, who.instance, digest)
        told = await _enrolled(session, who, name, now=now, how="code", token_sha256=digest_of(token))
        await _record(session, told, database)
    return name, token


async def enroll_by_certificate(database: Database, request: Request, name: str, fingerprint: str, *, now: int) -> None:
    """Enrols who has a certificate of that name and SHA-256 (in hexadecimal). Raises EnrolmentError, DatabaseError."""
    who = proven(request, fingerprint)
    async with database.transaction() as session:
        await _turn(session, database)
        rows = await session.rows("SELECT revoked FROM member WHERE name = $1", name)
        if rows and all(revoked for (revoked,) in rows):
            raise EnrolmentError("was revoked: it takes a code to enrol it again")
        told = await _enrolled(session, who, name, now=now, how="certificate", fingerprint=fingerprint)
        await _record(session, told, database)


async def revoke(database: Database, which: str, *, now: int) -> Revoked:
    """Revokes the journals of a name or chain's id, and the codes of a name that nobody has used yet. Raises DatabaseError."""
    async with database.transaction() as session:
        await _turn(session, database)
        # Their tokens stay known: who still sends with one is told.
        rows = await session.rows(
            "UPDATE member SET revoked = $1 WHERE revoked = 0 AND (name = $2 OR instance = $3) RETURNING instance, name",
            *(now, which, which),
        )
        codes = await session.rows("DELETE FROM code WHERE name = $1 AND used = 0 RETURNING sha256", which)
        await _record(session, [Told("fleet_revoked", {"journal": one, "name": name}) for one, name in rows], database)
    return Revoked(tuple(sorted(row[0] for row in rows)), len(codes))


async def holders(database: Database, tokens: Sequence[str], names: Sequence[str]) -> tuple[Held, Held]:
    """Gives the holders of tokens (by their digests) and of names that were enrolled with a certificate, as far as there are
    any. Raises DatabaseError."""
    by_token, by_name = [], []
    async with database.transaction() as session:
        if tokens:
            by_token = await session.rows(
                f"SELECT token_sha256, instance, revoked FROM member WHERE token_sha256 IN ({_marks(tokens)})",  # noqa: S608 (values are bound)
                *tokens,
            )
        if names:
            by_name = await session.rows(
                "SELECT name, instance, revoked FROM member"  # noqa: S608 (values are bound)
                f" WHERE how = 'certificate' AND name IN ({_marks(names)})"
                " ORDER BY CASE WHEN revoked = 0 THEN 1 ELSE 0 END, enrolled",
                *names,
            )
    found = [{key: Holder(instance, bool(revoked)) for key, instance, revoked in rows} for rows in (by_token, by_name)]
    return found[0], found[1]


def _marks(values: Sequence[str]) -> str:
    return ", ".join(f"${number}" for number in range(1, len(values) + 1))


async def _turn(session: Session, database: Database) -> None:
    """Enrolments and revocations take turns at all collectors, so that each one sees what the one before has done."""
    await session.rows("INSERT INTO collector (name, number, text) VALUES ($1, 0, '') ON CONFLICT DO NOTHING", _TURN)
    await session.rows(f"SELECT number FROM collector WHERE name = $1{database.for_update}", _TURN)  # noqa: S608 (no value)


async def _enrolled(
    session: Session, who: Proven, name: str, *, now: int, how: str, token_sha256: str = "", fingerprint: str = ""
) -> list[Told]:
    """A code is the operator's word that this key counts from now on, and that this journal is the name's only one."""
    key_id, public_key = who.key.id, who.key.raw.hex()
    known = await session.rows("SELECT revoked, name FROM member WHERE instance = $1", who.instance)
    before = await progress_of(session, who.instance)
    if known and before is not None:
        is_revoked, is_renamed, is_its_key = bool(known[0][0]), known[0][1] != name, before.public_key == public_key
        if is_renamed and not is_revoked:
            raise EnrolmentError("the journal is enrolled under another name: that has to be revoked first")
        if is_renamed and not is_its_key:
            raise EnrolmentError("the journal was enrolled under another name, with another key")
        if how == "certificate" and (is_revoked or not is_its_key):
            raise EnrolmentError("the journal was enrolled before, with another key, or was revoked: it takes a code")
    elif await session.rows("SELECT number FROM chain WHERE instance = $1", who.instance):
        # The collectors' own, or one that came without a collector: nothing may come in the place of its lines.
        raise EnrolmentError("the store has lines of this journal that no collector took: begin a new one")
    others = await session.rows(
        "UPDATE member SET revoked = $1 WHERE name = $2 AND instance <> $3 AND revoked = 0 RETURNING instance",
        *(now, name, who.instance),
    )
    await session.rows(
        "INSERT INTO member (instance, name, key_id, public_key, token_sha256, fingerprint, how, enrolled, revoked)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0) ON CONFLICT (instance) DO UPDATE SET name = excluded.name,"
        " key_id = excluded.key_id, public_key = excluded.public_key, token_sha256 = excluded.token_sha256,"
        " fingerprint = excluded.fingerprint, how = excluded.how, enrolled = excluded.enrolled, revoked = 0",
        *(who.instance, name, key_id, public_key, token_sha256, fingerprint, how, now),
    )
    # Read once the member's row is ours: lines of the journal may have come meanwhile.
    progress = await progress_of(session, who.instance) or Progress(instance=who.instance)
    used = progress.key_id if progress.public_key == public_key else ""
    await save(session, msgspec.structs.replace(progress, key_id=used, public_key=public_key))
    told = [Told("fleet_enrolled", {"journal": who.instance, "name": name, "key_id": key_id, "how": how})]
    for (other,) in others:
        what = f"{name} was enrolled again; its journal before was {other}"
        await session.rows(
            "INSERT INTO finding (instance, kind, seq, mark, time, last, count, detail) VALUES ($1, $2, 0, $3, $4, $5, 1, $6)"
            " ON CONFLICT DO NOTHING",
            *(who.instance, FleetKind.NEW_CHAIN.value, other, now, now, what),
        )
        detail = {"journal": who.instance, "name": name, "kind": FleetKind.NEW_CHAIN.value, "seq": 0, "what": what}
        told.append(Told("fleet_finding", detail))
    return told


async def _record(session: Session, told: list[Told], database: Database) -> None:
    lines: list[Shipment] = await trail(session, told, database.for_update)
    await session.store(lines)
    await arrive(session, lines)
