"""One payload posted to Hookgate, by no proxy, and what came back."""

import http.client
import json
import ssl
from typing import Any
from urllib.parse import urlsplit

from hookgate.client.bridge.config import BridgeConfig, BridgeError, token

_MAX_ANSWER_BYTES = 1024 * 1024
_OURS = ("content-length", "transfer-encoding", "connection", "content-type", "host")


def answer_to(config: BridgeConfig, body: bytes, event: str) -> dict[str, Any]:
    """Gives the answer. Raises BridgeError: nobody answers, or not with 200 and what a client obeys for this event."""
    headers = {name: value for name, value in config.headers.items() if name.lower() not in _OURS}
    if credential := token(config):
        headers["Authorization"] = f"Bearer {credential}"
    try:
        connection, target = _connection(config)
        try:
            connection.request(
                "POST",
                target,
                body,
                {name: value.encode("latin-1", "replace") for name, value in headers.items()}
                | {"Content-Type": b"application/json", "Accept": b"application/json"},
            )
            response = connection.getresponse()
            raw = response.read(_MAX_ANSWER_BYTES + 1)
            # A read of so many bytes does not tell of an end before its time.
            is_cut = bool(response.length) and len(raw) <= _MAX_ANSWER_BYTES
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise BridgeError(f"no answer: {_why(error)}") from None
    if response.status != http.client.OK:
        raise BridgeError(f"the answer has status {response.status}")
    if is_cut:
        raise BridgeError("the answer is cut off")
    if len(raw) > _MAX_ANSWER_BYTES:
        raise BridgeError("the answer is too long")
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError):
        raise BridgeError("the answer is no JSON") from None
    if fault := _fault(answer, event):
        raise BridgeError(fault)
    found: dict[str, Any] = answer
    return found


def _connection(config: BridgeConfig) -> tuple[http.client.HTTPConnection, str]:
    parts = urlsplit(config.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not parts.hostname:
        raise BridgeError("url has no host")
    if parts.scheme == "http":
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=config.timeout_seconds), target
    context = ssl.create_default_context(cafile=config.ca_file or None)
    if config.client_certificate:
        context.load_cert_chain(config.client_certificate, config.client_key or None)
    return (
        http.client.HTTPSConnection(parts.hostname, parts.port, timeout=config.timeout_seconds, context=context),
        target,
    )


def _fault(answer: Any, event: str) -> str:
    """Says why a client would not obey an answer, or would take it for none."""
    if not isinstance(answer, dict):
        return "the answer is no JSON object"
    if "async" in answer:
        return "the answer is for later"
    specific = answer.get("hookSpecificOutput", {})
    if not isinstance(specific, dict) or (specific and specific.get("hookEventName") != event):
        return "the answer is for another event"
    return ""


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "not in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
