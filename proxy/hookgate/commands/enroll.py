"""`hookgate enroll`: gets this machine's journal a place in a fleet."""

import asyncio
import errno
import os
import ssl
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import aiohttp
import msgspec
import typer
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from hookgate.audit.draft import write_whole
from hookgate.audit.error import UNREADABLE, JournalError
from hookgate.audit.segments import segment_paths
from hookgate.audit.shipping.place import instance_of
from hookgate.audit.shipping.shipment import SinkError
from hookgate.audit.signing import PRIVATE_NAME, SigningKey, signing_key
from hookgate.audit.sinks.tls import context
from hookgate.audit.sinks.unreached import unreached
from hookgate.collect.enrolment import Request, digest_of, proof_text
from hookgate.commands.fault import stop_with
from hookgate.config.url import http_fault
from hookgate.harmless import harmless
from hookgate.streams import first_of

_SECONDS = 30.0
_ANSWER_BYTES = 8192


class _Answer(msgspec.Struct, frozen=True):
    name: str = ""
    token: str = ""
    error: str = ""


def enroll(
    url: Annotated[str, typer.Argument(help="The collector: https://collector.example.com:3596")],
    *,
    code: Annotated[
        str,
        typer.Option(
            envvar="HOOKGATE_ENROLL_CODE",
            help="The one-time code that `hookgate collect code` printed; `-` reads it from standard input. Without one, the certificate counts.",
        ),
    ] = "",
    directory: Annotated[
        Path, typer.Option(help="The journal's directory (audit.directory).", envvar="HOOKGATE__AUDIT__DIRECTORY")
    ] = Path("/var/lib/hookgate/audit"),
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="Where the token is written, for `token_file` of the shipper; by itself `collector.token` in the journal's directory."
        ),
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(help="PEM file of the authorities to trust instead of the system's.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="This machine's certificate (PEM), given out by its management.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Its key (PEM).")] = None,
) -> None:
    """Enrol this machine's journal with a collector: its key is registered there, and a token is written to a file that only
    its owner can read.

    Run it as the user that Hookgate runs as, once Hookgate has been started: the journal must be there.
    """
    if not url.startswith(("https://", "http://")):
        stop_with(f"{harmless(url, 100)}: expected the collector's URL, https://HOST:PORT")
    if fault := http_fault(url):
        stop_with(f"the collector's URL {fault}")
    if (certificate is None) != (key is None):
        stop_with("--certificate and --key go together")
    if code == "-":
        code = sys.stdin.readline().strip()
    if not code and certificate is None:
        stop_with(
            "name a code with --code (`hookgate collect code` makes one), or a certificate with --certificate and --key"
        )
    try:
        wanted = _wanted(directory, code, certificate)
        tls = _tls(ca, certificate, key) if url.startswith("https:") else None
        path = token_file or directory / "collector.token"
        if code:
            _check(path)
        if tls is None and not _is_here(url):
            typer.echo("hookgate: http: code and token go over the network in the clear", err=True)
        answer = asyncio.run(_asked(url.rstrip("/"), wanted, tls))
        if not answer.token:
            typer.echo(f"hookgate: enrolled as {harmless(answer.name)}; the certificate says who it is")
            return
        _keep(path, answer.token)
    except (JournalError, SinkError) as error:
        stop_with(str(error))
    except OSError as error:
        stop_with(f"{error.filename or directory}: {error.strerror}")
    typer.echo(f"hookgate: enrolled as {harmless(answer.name)}; the token is in {path}")


def _wanted(directory: Path, code: str, certificate: Path | None) -> Request:
    if not (directory / PRIVATE_NAME).is_file() or not (paths := segment_paths(directory)):
        raise JournalError(
            f"{directory}: no journal there: start `hookgate serve` once, or name its directory with --directory"
        )
    instance, key = instance_of(paths[0]), signing_key(directory)
    if not instance:
        raise JournalError(f"{directory}: the journal does not tell which chain it is")
    challenge = digest_of(code) if code else _fingerprint(certificate)
    return _signed(instance, key, challenge, code)


def _signed(instance: str, key: SigningKey, challenge: str, code: str) -> Request:
    signature = key.sign(proof_text(instance, challenge)).hex()
    return Request(instance=instance, public_key=key.public.raw.hex(), signature=signature, code=code)


def _fingerprint(certificate: Path | None) -> str:
    if certificate is None:
        return ""
    try:
        return x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(SHA256()).hex()
    except ValueError:
        raise JournalError(f"{certificate}: no certificate (PEM)") from None


def _tls(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    made = context(str(ca) if ca is not None else None)
    if certificate is not None:
        try:
            made.load_cert_chain(certificate, key, password="")
        except ssl.SSLError:
            raise JournalError(f"{certificate}: certificate and key can't be used together") from None
    return made


async def _asked(url: str, wanted: Request, tls: ssl.SSLContext | None) -> _Answer:
    timeout, place = aiohttp.ClientTimeout(total=_SECONDS), harmless(urlsplit(url).netloc.rpartition("@")[2], 100)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            session.post(
                f"{url}/v1/enroll", data=msgspec.json.encode(wanted), ssl=tls or True, allow_redirects=False
            ) as response,
        ):
            content, status = await first_of(response.content, _ANSWER_BYTES), response.status
    except TimeoutError:
        raise SinkError(f"{place}: gave no answer within {_SECONDS:g} s") from None
    except (aiohttp.ClientError, ValueError) as fault:
        raise SinkError(f"{place}: {unreached(fault, '--ca')}") from None
    try:
        answer = msgspec.json.decode(content, type=_Answer)
    except UNREADABLE:
        raise SinkError(f"{place}: what answers there ({status}) is no collector") from None
    if status != 200 and answer.error:
        raise SinkError(f"the collector answers {status}: {harmless(answer.error, 200)}")
    # Others answer 200 to whatever is posted to them, a Hookgate's hook port among them.
    if status != 200 or not answer.name or bool(wanted.code) != bool(answer.token):
        raise SinkError(f"{place}: what answers there ({status}) is no collector")
    return answer


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _check(path: Path) -> None:
    """A code is good once: what would keep its token from being written is to be known before. Raises OSError."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    draft = path.with_name(path.name + ".new")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    draft.unlink()


def _keep(path: Path, token: str) -> None:
    """Under another name first, and from the beginning for its owner only."""
    write_whole(path, token.encode() + b"\n")
