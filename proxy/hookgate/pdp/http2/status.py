"""What a call's header fields say of its end: gRPC's status codes, HTTP's, and HTTP/2's error codes."""

from functools import lru_cache
from urllib.parse import unquote_to_bytes

from hookgate.errors import ErrorKind, GateError
from hookgate.pdp.http2 import frames
from hookgate.pdp.http2.fields import Fields

#: gRPC's status codes, by number (statuscodes.md).
NAMES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
#: What each of them means here; `pdp_refused` for all others.
KINDS = {
    "UNAVAILABLE": ErrorKind.PDP_UNAVAILABLE,
    "DEADLINE_EXCEEDED": ErrorKind.PDP_TIMEOUT,
    # A hang ends in either, by chance.
    "CANCELLED": ErrorKind.PDP_TIMEOUT,
    "RESOURCE_EXHAUSTED": ErrorKind.PDP_TOO_LARGE,
    "INVALID_ARGUMENT": ErrorKind.PDP_INVALID,
    "OUT_OF_RANGE": ErrorKind.PDP_INVALID,
}
_NUMBERS = {str(number).encode("ascii"): name for number, name in enumerate(NAMES)}
#: For answers without a status of gRPC's own (http-grpc-status-mapping.md).
_OF_HTTP = {
    b"400": "INTERNAL",
    b"401": "UNAUTHENTICATED",
    b"403": "PERMISSION_DENIED",
    b"404": "UNIMPLEMENTED",
    b"429": "UNAVAILABLE",
    b"502": "UNAVAILABLE",
    b"503": "UNAVAILABLE",
    b"504": "UNAVAILABLE",
}
#: For streams that the server broke off (PROTOCOL-HTTP2.md, Errors); INTERNAL for all others.
_OF_RESET = {
    frames.REFUSED_STREAM: "UNAVAILABLE",
    frames.CANCEL: "CANCELLED",
    frames.ENHANCE_YOUR_CALM: "RESOURCE_EXHAUSTED",
    frames.INADEQUATE_SECURITY: "PERMISSION_DENIED",
}
_MEDIA = b"application/grpc"
_SHOWN_CHARACTERS = 300


def failure(name: str, detail: str) -> GateError:
    """Gives the error that a status stands for; of its detail the first line."""
    kind = KINDS.get(name, ErrorKind.PDP_REFUSED)
    return GateError(kind, f"{name}: {detail.strip().partition(chr(10))[0][:_SHOWN_CHARACTERS]}")


def of_reset(code: int) -> GateError:
    """Gives the error of a stream that the server broke off."""
    return failure(_OF_RESET.get(code, "INTERNAL"), f"the PDP broke off the call (HTTP/2 error {code})")


def fault_in_headers(fields: Fields) -> GateError | None:
    """Gives what is wrong with the fields that an answer begins with; None if its message may follow."""
    status, media = _only(fields, b":status"), _only(fields, b"content-type")
    if status != b"200":
        shown = (status or b"no status").decode("ascii", "replace")
        return failure(_OF_HTTP.get(status or b"", "UNKNOWN"), f"HTTP status {shown}")
    rest = media[len(_MEDIA) :] if media is not None and media.startswith(_MEDIA) else None
    if rest is None or rest[:1] not in (b"", b"+", b";"):
        return failure("UNKNOWN", "an answer that is no gRPC")
    return None


def fault_in_trailers(fields: Fields) -> GateError | None:
    """Gives the error that an answer ends with; None only where it says, once, that all went well."""
    number = _only(fields, b"grpc-status")
    if number == b"0":
        return None
    name = _NUMBERS.get(number or b"", "UNKNOWN")
    message = _only(fields, b"grpc-message")
    if message is None:
        return failure(name, "no status" if number is None else "")
    return failure(name, unquote_to_bytes(message).decode("utf-8", "replace"))


@lru_cache(maxsize=16)
def begins_well(fields: Fields) -> bool:
    """Whether a message may follow the fields; remembered, since a server's answers begin with the same ones."""
    return fault_in_headers(fields) is None


@lru_cache(maxsize=16)
def ends_well(fields: Fields) -> bool:
    """Whether the fields may be what an answer ends with, and say that all went well; remembered likewise."""
    return fault_in_trailers(fields) is None and not any(name.startswith(b":") for name, _ in fields)


def has_status(fields: Fields) -> bool:
    """Whether the fields hold a status of gRPC's own."""
    return any(name == b"grpc-status" for name, _ in fields)


def _only(fields: Fields, wanted: bytes) -> bytes | None:
    """Gives a field's value; None where it is missing, or there more than once."""
    values = [value for name, value in fields if name == wanted]
    return values[0] if len(values) == 1 else None
