"""Whether others can write what the service rests on, looked at before it starts."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hookgate.audit.key import FILE_NAME as REDACTION_KEY
from hookgate.audit.signing import PRIVATE_NAME as SIGNING_KEY
from hookgate.config import Config
from hookgate.config.identity import JwtSource, TokenSource

ROOT = 0
#: What shippers name, where they do, and whether it is secret.
_SHIPPERS_FILES = (("ca", False), ("certificate", False), ("key", True), ("token_file", True))


@dataclass(frozen=True, slots=True)
class Exposure:
    """One way in. `refused`: with it the service does not start, unless `exposed_files` says otherwise."""

    setting: str
    path: Path
    why: str
    refused: bool = False

    def line(self) -> str:
        """Gives it in words."""
        return f"{self.setting}: {self.path}: {self.why}"


def exposures(config: Config, file: Path | None) -> list[Exposure]:
    """Gives what others than root and this user can write, and secrets that everybody can read."""
    found: list[Exposure] = []
    if file is not None:
        found += _of_file("configuration", file)
    directory = Path(config.audit.directory)
    found += _of("audit.directory", directory)
    for name in (SIGNING_KEY, REDACTION_KEY):
        found += _of("audit.directory", directory / name, is_secret=True, above=False)
    for setting, name, is_secret in _named(config):
        if name:
            found += _of_file(setting, Path(name), is_secret=is_secret)
    if config.pdp.address.startswith("unix:"):
        found += _of_socket(Path("/" + config.pdp.address.removeprefix("unix:").lstrip("/")))
    return list(dict.fromkeys(found))


def own_user() -> Iterator[str]:
    """Gives what is unwise about the user that the service runs as."""
    uid = os.geteuid()
    if uid == ROOT:
        yield "runs as root: give it a user of its own"
    try:
        home = Path.home()
        has_agent = uid != ROOT and (home / ".claude").is_dir()
    except (OSError, RuntimeError):  # no right to look, or no home
        return
    if has_agent:
        yield f"runs as a user that runs Claude Code ({home}/.claude is there): its agents can stop it and edit its files"


def _named(config: Config) -> Iterator[tuple[str, str, bool]]:
    """Gives the files that settings name, and whether they are secret."""
    yield "pdp.tls.ca", config.pdp.tls.ca or "", False
    yield "pdp.tls.certificate", config.pdp.tls.certificate or "", False
    yield "pdp.tls.key", config.pdp.tls.key or "", True
    yield "server.tls.certificate", config.server.tls.certificate, False
    yield "server.tls.key", config.server.tls.key, True
    yield "server.tls.client_ca", config.server.tls.client_ca, False
    yield "server.tls.client_crl", config.server.tls.client_crl, False
    yield "console.tls.certificate", config.console.tls.certificate, False
    yield "console.tls.key", config.console.tls.key, True
    yield "console.tls.client_ca", config.console.tls.client_ca, False
    yield "console.tls.client_crl", config.console.tls.client_crl, False
    yield "console.oidc.ca", config.console.oidc.ca, False
    yield "console.tokens", config.console.tokens, False
    yield "identity.directory.file", config.identity.directory.file, False
    yield "traces.ca", config.traces.ca or "", False
    for i, shipper in enumerate(config.audit.shippers):
        for name, is_secret in _SHIPPERS_FILES:
            yield f"audit.shippers[{i}].{name}", getattr(shipper, name, None) or "", is_secret
    for i, source in enumerate(config.identity.sources):
        if isinstance(source, TokenSource):
            yield f"identity.sources[{i}].file", source.file, False
        elif isinstance(source, JwtSource):
            for j, issuer in enumerate(source.issuers):
                yield f"identity.sources[{i}].issuers[{j}].jwks_file", issuer.jwks_file, False
                yield f"identity.sources[{i}].issuers[{j}].ca", issuer.ca, False


def _of_file(setting: str, path: Path, *, is_secret: bool = False) -> list[Exposure]:
    """A file, and the directory in which it could be exchanged for another."""
    real = Path(os.path.realpath(path))
    return [*_of(setting, path, is_secret=is_secret, above=False), *_of(setting, real.parent)]


def _of_socket(path: Path) -> Iterator[Exposure]:
    """Whoever can write the directory of the PDP's socket can answer in its stead; it may well be the PDP's own."""
    found = _status(path.parent)
    if found is not None and found.st_mode & stat.S_IWOTH:
        sticky = bool(found.st_mode & stat.S_ISVTX)
        why = "everybody can put a socket there, and answer in the PDP's stead"
        yield Exposure("pdp.address", path.parent, why, refused=not sticky)


def _of(setting: str, path: Path, *, is_secret: bool = False, above: bool = True) -> Iterator[Exposure]:
    real = Path(os.path.realpath(path))
    found = _status(real)
    if found is not None and not _is_read_only(real):
        if found.st_uid not in (ROOT, os.geteuid()):
            yield Exposure(setting, path, f"belongs to another user ({found.st_uid})", refused=True)
        if found.st_mode & stat.S_IWOTH:
            yield Exposure(setting, path, "everybody can write it", refused=True)
        elif found.st_mode & stat.S_IWGRP:
            yield Exposure(setting, path, f"its group ({found.st_gid}) can write it")
    if found is not None and is_secret and found.st_mode & stat.S_IROTH:
        yield Exposure(setting, path, "everybody can read it")
    # Volumes of containers are mounted with open modes, so what lies above is told only.
    for parent in real.parents if above else ():
        upper = _status(parent)
        if upper is None or _is_read_only(parent):
            continue
        if upper.st_uid not in (ROOT, os.geteuid()):
            yield Exposure(setting, parent, f"belongs to another user ({upper.st_uid}), who can exchange what is below")
        elif upper.st_mode & stat.S_IWOTH and not upper.st_mode & stat.S_ISVTX:
            yield Exposure(setting, parent, "everybody can exchange what is below")


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _is_read_only(path: Path) -> bool:
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False
