"""Faults that show only when several settings are looked at together."""

import ipaddress
import re
from pathlib import Path

import re2

from hookgate.config.audit import Audit
from hookgate.config.check_identity import identity_faults
from hookgate.config.collect import collect_faults
from hookgate.config.console import console_faults
from hookgate.config.shipping import shipping_faults
from hookgate.config.tls import tls_faults
from hookgate.config.traces import traces_faults
from hookgate.config.tree import Config

#: As the PDP demands it (Cerbos: schema of a resource's scope).
_SCOPE = re.compile(r"(|\.|[0-9a-zA-Z][\w\-]*(\.\w[\w\-]*)*)", re.ASCII)
_EVENT = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


def cross_check(config: Config) -> list[str]:
    """Gives one line a fault, each beginning with the key's path; empty if the settings fit together."""
    faults = _pdp(config) + _records(config.audit) + shipping_faults(config.audit)
    faults += tls_faults(config.server.tls)
    faults += traces_faults(config.traces)
    faults += console_faults(config.console, config.audit)
    faults += collect_faults(config.collect)
    faults += identity_faults(config.identity, client_ca=config.server.tls.client_ca)
    named = {"pdp.required_kinds": config.pdp.required_kinds, "on_error_events": config.on_error_events}
    for where, events in named.items():
        faults += [
            f"{where}[{i}]: expected the name of an event, got {name!r}"
            for i, name in enumerate(events)
            if not _EVENT.fullmatch(name)
        ]
    for i, rule in enumerate(config.rollout):
        if not (rule.users or rule.roles or rule.groups):
            faults.append(f"rollout[{i}]: matches nobody: name users, roles or groups (for everybody, set mode)")
    names = [expectation.name for expectation in config.canary.expect]
    faults += [
        f"canary.expect: the name {name!r} is given twice" for name in sorted({n for n in names if names.count(n) > 1})
    ]
    server, deadline_seconds = config.server, config.decision.deadline_seconds
    least = server.linger_seconds + deadline_seconds
    if server.grace_seconds < least:
        faults.append(
            f"server.grace_seconds: {server.grace_seconds:g} is less than linger_seconds ({server.linger_seconds:g}) and "
            f"decision.deadline_seconds ({deadline_seconds:g}) together: a decision that comes last would be cut off; set "
            f"at least {least:g}"
        )
    ours, hooks = (config.admin.host, config.admin.port), (config.server.host, config.server.port)
    if config.admin.enabled and config.admin.port and ours == hooks:
        faults.append("admin.port: is the hooks' own port; pick another")
    if config.console.enabled and config.console.port and (config.console.host, config.console.port) in (ours, hooks):
        faults.append("console.port: is another listener's; pick another")
    for where, hosts in (
        ("server", config.server.allowed_hosts),
        ("admin", config.admin.allowed_hosts),
        ("console", config.console.allowed_hosts),
    ):
        faults += [
            f"{where}.allowed_hosts[{i}]: expected a host without scheme, port and path, or *, got {name!r}"
            for i, name in enumerate(hosts)
            if not _is_host(name)
        ]
    return faults


def _is_host(name: str) -> bool:
    if ":" not in name:
        return re.fullmatch(r"[^\s/@?#\[\]]+", name) is not None
    try:
        return bool(ipaddress.IPv6Address(name.strip("[]")))
    except ValueError:
        return False


def _records(audit: Audit) -> list[str]:
    """What records are to hold, and what not."""
    faults = [
        f"audit.redaction.names[{i}]: a name must have at least two characters, or nothing would be left"
        for i, name in enumerate(audit.redaction.names)
        if len(name.strip()) < 2
    ]
    options = re2.Options()
    options.log_errors = False
    for i, form in enumerate(audit.redaction.forms):
        where = f"audit.redaction.forms[{i}].pattern"
        try:
            pattern = re2.compile(form.pattern, options)
        except re2.error as error:
            why = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
            faults.append(f"{where}: no regular expression that RE2 takes: {why}")
        else:
            if pattern.fullmatch(""):
                faults.append(f"{where}: matches where nothing is; have it take at least one character")
    for i, rule in enumerate(audit.levels):
        faults += [
            f"audit.levels[{i}].events[{j}]: expected the name of an event, got {name!r}"
            for j, name in enumerate(rule.events)
            if not _EVENT.fullmatch(name)
        ]
    return faults


def _pdp(config: Config) -> list[str]:
    pdp, faults = config.pdp, []
    for where, scope in [("pdp.scope", pdp.scope), *((f"pdp.scopes[{i}]", s) for i, s in enumerate(pdp.scopes))]:
        if not _SCOPE.fullmatch(scope):
            faults.append(
                f"{where}: {scope!r} is no scope that Cerbos takes (letters, digits, - and _, parted by dots)"
            )
    if bool(pdp.tls.certificate) != bool(pdp.tls.key):
        faults.append("pdp.tls: certificate and key go together")
    for key in ("ca", "certificate", "key"):
        name = getattr(pdp.tls, key)
        if name is None:
            continue
        if not pdp.tls.enabled:
            faults.append(f"pdp.tls.{key}: has no effect without pdp.tls.enabled: true")
        elif not Path(name).is_file():
            faults.append(f"pdp.tls.{key}: no such file: {name}")
    if not pdp.tls.enabled and not pdp.allow_plaintext and not is_local(pdp.address):
        faults.append(
            f"pdp.address: {pdp.address} is neither on loopback nor a unix socket, and whoever answers there decides: "
            "set pdp.tls.enabled: true, or pdp.allow_plaintext: true if the network is trusted"
        )
    return faults


def is_local(address: str) -> bool:
    """Whether a gRPC address stays on this machine: a unix socket or loopback."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    target = address.rsplit("/", 1)[-1].removeprefix("dns:").removeprefix("ipv4:").removeprefix("ipv6:")
    host = target.rsplit(":", 1)[0] if re.search(r":\d+$", target) else target
    host = host.strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
