"""A harmless hook sent as the client would send it, and what the service says of it."""

import http.client
import json
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from hookgate.client.finding import Finding, Kind
from hookgate.client.telling import ASKING, TOLD

_TIMEOUT_SECONDS = 10.0
_SLOW_SECONDS = 1.0
_MAX_ANSWER_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of it. `fault` says why there was no answer; `told` has the service's words about the caller."""

    seconds: float = 0.0
    status: int = 0
    answer: dict[str, Any] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""


def harmless_hook(cwd: str) -> dict[str, Any]:
    """Gives a payload of which nothing follows."""
    return {
        "session_id": "hookgate-doctor",
        "transcript_path": "",
        "cwd": cwd,
        "permission_mode": "default",
        "hook_event_name": "PreToolUse",
        "tool_name": "Bash",
        "tool_input": {"command": "true", "description": "A test by hookgate doctor"},
        "tool_use_id": f"doctor-{time.time_ns()}",
    }


def probe(url: str, headers: Mapping[str, str], env: Mapping[str, str], payload: Mapping[str, Any]) -> Probed:
    """Sends the payload, by no proxy."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "") or "/"
    own = {"Content-Type": "application/json", "Accept": "application/json, text/plain, */*", ASKING: "1"}
    overridden = {name.lower() for name in headers}
    sent = {name: value for name, value in own.items() if name.lower() not in overridden} | {
        name: value
        for name, value in headers.items()
        if name.lower() not in ("content-length", "transfer-encoding", "connection")
    }
    begun = time.perf_counter()
    try:
        host, port = parts.hostname or "", parts.port
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_SECONDS, context=_context(env))
        else:
            connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
        with_bytes = {name: value.encode("latin-1", "replace") for name, value in sent.items()}
        try:
            connection.request("POST", target, json.dumps(payload).encode(), with_bytes)
            response = connection.getresponse()
            body = response.read(_MAX_ANSWER_BYTES)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Probed(time.perf_counter() - begun, fault=_why(error))
    seconds = time.perf_counter() - begun
    told = {
        name[len(TOLD) :].lower(): unquote(value)
        for name, value in response.getheaders()
        if name.lower().startswith(TOLD.lower())
    }
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        return Probed(seconds, response.status, told=told, fault="the answer is no JSON object")
    return Probed(seconds, response.status, answer, told)


def findings_of(probed: Probed, url: str) -> Iterator[Finding]:
    """Gives what the answer shows to be wrong."""
    if not probed.status:
        yield Finding(Kind.UNREACHABLE, url, probed.fault)
        return
    told = probed.told
    if probed.status // 100 != 2 or probed.fault or not told:
        detail = probed.fault or ("it is another program" if not told else "")
        yield Finding(Kind.ANSWER_WRONG, url, f"status {probed.status}; {detail}".rstrip("; "))
        return
    if told.get("outcome") == "error":
        yield Finding(Kind.ANSWER_WRONG, url, f"error {told.get('error', '')}")
    if told.get("mode") == "observe":
        yield Finding(Kind.NOT_ENFORCED, url)
    if told.get("source") == "default":
        yield Finding(Kind.USER_UNKNOWN, url, told.get("user", ""))
    elif told.get("user") and told.get("verified") != "true":
        yield Finding(Kind.USER_UNVERIFIED, url, f"{told['user']}, by {told.get('source', '')}")
    if probed.seconds > _SLOW_SECONDS:
        yield Finding(Kind.SLOW, url, f"{probed.seconds:.1f} s")


def _context(env: Mapping[str, str]) -> ssl.SSLContext:
    """Trusts whom the client trusts, and presents its certificate."""
    context = ssl.create_default_context(cafile=env.get("SSL_CERT_FILE") or None)
    if extra := env.get("NODE_EXTRA_CA_CERTS"):
        context.load_verify_locations(extra)
    if certificate := env.get("CLAUDE_CODE_CLIENT_CERT"):
        context.load_cert_chain(certificate, env.get("CLAUDE_CODE_CLIENT_KEY") or None)
    return context


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__ if not isinstance(error, TimeoutError) else "no answer in time"
