"""Faults of shippers that show only when several settings are looked at together."""

import importlib.util
import re
from pathlib import Path

from hookgate.config.audit import Audit
from hookgate.config.shippers import (
    AnyShipper,
    CollectorShipper,
    FileShipper,
    HttpShipper,
    KafkaShipper,
    OtlpShipper,
    PostgresShipper,
    SqliteShipper,
)
from hookgate.config.url import http_fault, is_port, postgres_fault

_BROKER = re.compile(r"([\w.-]+|\[[0-9a-fA-F:]+\]):(?P<port>[0-9]{1,5})", re.ASCII)
#: What a shipper needs that is not always installed.
_MODULES: dict[type, str] = {PostgresShipper: "asyncpg", KafkaShipper: "aiokafka"}


def shipping_faults(audit: Audit) -> list[str]:
    """Gives one line a fault, each beginning with the key's path. Files and libraries are looked for only where the shippers
    run beside the service."""
    faults: list[str] = []
    names = [shipper.called for shipper in audit.shippers]
    faults += [
        f"audit.shippers: the name {name!r} is given twice: set another `name`"
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    paths = [path for shipper in audit.shippers if (path := _path(shipper, audit)) is not None]
    faults += [
        f"audit.shippers: two of them write {path}"
        for path in sorted({path for path in paths if paths.count(path) > 1})
    ]
    for i, shipper in enumerate(audit.shippers):
        where = f"audit.shippers[{i}]"
        faults += [f"{where}.{fault}" for fault in _settings(shipper, audit)]
        if audit.supervise:
            faults += [f"{where}.{fault}" for fault in _surroundings(shipper)]
    return faults


def _settings(shipper: AnyShipper, audit: Audit) -> list[str]:
    faults: list[str] = []
    match shipper:
        case PostgresShipper():
            if fault := postgres_fault(shipper.url):
                faults.append(f"url: {fault}")
        case HttpShipper() | OtlpShipper():
            if fault := http_fault(shipper.url):
                faults.append(f"url: {fault}")
            if shipper.ca is not None and not shipper.url.startswith("https:"):
                faults.append("ca: has no effect without an https URL")
        case CollectorShipper():
            faults += _collector(shipper)
        case KafkaShipper():
            faults += [
                f"brokers[{i}]: {fault}" for i, broker in enumerate(shipper.brokers) if (fault := _broker_fault(broker))
            ]
            if shipper.ca is not None and not shipper.tls:
                faults.append("ca: has no effect without tls: true")
            if bool(shipper.username) != bool(shipper.password):
                faults.append("username: and password go together")
        case FileShipper():
            own = Path(audit.directory)
            if own in Path(shipper.path).parents:
                faults.append(f"path: {shipper.path} is in audit.directory, which is the journal's own")
        case _:
            pass
    return faults


def _collector(shipper: CollectorShipper) -> list[str]:
    faults = [f"url: {fault}"] if (fault := http_fault(shipper.url)) else []
    if bool(shipper.certificate) != bool(shipper.key):
        faults.append("certificate: and key go together")
    if not (shipper.token_file or shipper.certificate):
        faults.append("token_file: is missing: `hookgate enroll` writes one; or set certificate and key")
    if shipper.certificate and not shipper.url.startswith("https:"):
        faults.append("certificate: has no effect without an https URL")
    return faults


def _broker_fault(broker: str) -> str | None:
    parts = _BROKER.fullmatch(broker)
    if parts is not None and is_port(parts["port"]):
        return None
    if "@" in broker:
        # What stands before it may be a password.
        return "expected host:port, and no @: a name and its password go into `username` and `password`"
    return f"expected host:port, got {broker!r}"


def _surroundings(shipper: AnyShipper) -> list[str]:
    module = _MODULES.get(type(shipper))
    if module is not None and importlib.util.find_spec(module) is None:
        kind = shipper.__struct_config__.tag
        return [f"type: {kind} needs the module {module}: pip install 'hookgate[{kind}]'"]
    if isinstance(shipper, FileShipper) and Path(shipper.path).is_dir():
        return [f"path: {shipper.path} is a directory: name a file in it"]
    ca = getattr(shipper, "ca", None)
    return [f"ca: no such file: {ca}"] if ca is not None and not Path(ca).is_file() else []


def _path(shipper: AnyShipper, audit: Audit) -> Path | None:
    """Where it writes on this machine."""
    if isinstance(shipper, FileShipper):
        return Path(shipper.path)
    if isinstance(shipper, SqliteShipper):
        return Path(shipper.path) if shipper.path else Path(audit.directory) / "store.sqlite"
    return None
