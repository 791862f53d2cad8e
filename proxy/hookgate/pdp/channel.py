"""The channel to the PDP over grpcio, the reference."""

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Read when grpc is first imported: a child process is always another program, and a note about it helps nobody.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import grpc
import grpc.aio
from grpc import StatusCode

from hookgate.config.tree import Pdp, PdpTls
from hookgate.errors import ErrorKind, GateError
from hookgate.pdp.transport import METHOD, ChannelError, Metadata

_OPTIONS = [
    # Back 0.3 s after an outage instead of 3 s; while in back-off a call fails at once, so no circuit breaker is needed.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_retries", 0),
    # The PDP is never behind the proxy that the environment names.
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.service_config_disable_resolution", 1),
]

_KINDS = {
    StatusCode.UNAVAILABLE: ErrorKind.PDP_UNAVAILABLE,
    StatusCode.DEADLINE_EXCEEDED: ErrorKind.PDP_TIMEOUT,
    # A hang ends in either, by chance.
    StatusCode.CANCELLED: ErrorKind.PDP_TIMEOUT,
    StatusCode.RESOURCE_EXHAUSTED: ErrorKind.PDP_TOO_LARGE,
    StatusCode.INVALID_ARGUMENT: ErrorKind.PDP_INVALID,
    StatusCode.OUT_OF_RANGE: ErrorKind.PDP_INVALID,
}


class GrpcTransport:
    """One gRPC channel, to be made inside the running event loop and closed in it. Raises ChannelError. `metadata` gives what
    each call carries beside its request."""

    def __init__(self, config: Pdp, metadata: Callable[[], Metadata | None] = lambda: None) -> None:
        self._metadata = metadata
        options: list[tuple[str, Any]] = list(_OPTIONS)
        if config.tls.server_name:
            options.append(("grpc.ssl_target_name_override", config.tls.server_name))
        if config.tls.enabled:
            self._channel = grpc.aio.secure_channel(config.address, _credentials(config.tls), options=options)
        else:
            self._channel = grpc.aio.insecure_channel(config.address, options=options)
        self._call: Any = self._channel.unary_unary(METHOD)

    async def __call__(self, request: bytes, timeout_seconds: float) -> bytes:
        """Asks once. Raises GateError of the kind that the gRPC status stands for."""
        try:
            response: bytes = await self._call(request, timeout=timeout_seconds, metadata=self._metadata())
        except grpc.aio.AioRpcError as error:
            kind = _KINDS.get(error.code(), ErrorKind.PDP_REFUSED)
            raise GateError(kind, f"{error.code().name}: {_first_line(error.details())}") from None
        except (ValueError, grpc.aio.UsageError, grpc.aio.InternalError) as error:
            raise GateError(ErrorKind.PDP_UNAVAILABLE, f"channel: {_first_line(str(error))}") from None
        return response

    async def close(self) -> None:
        """Ends the calls under way and the channel."""
        await self._channel.close()


def _credentials(tls: PdpTls) -> grpc.ChannelCredentials:
    # gRPC takes any bytes and then only says that the PDP can't be reached.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if tls.ca:
            context.load_verify_locations(tls.ca)
    except OSError as error:
        raise ChannelError(
            f"pdp.tls.ca: {tls.ca}: no CA certificate (PEM) can be read from it: {error.strerror}"
        ) from None
    try:
        if tls.certificate:
            context.load_cert_chain(tls.certificate, tls.key, password=lambda: b"")
    except OSError as error:
        raise ChannelError(
            f"pdp.tls.certificate: {tls.certificate} and {tls.key} are no certificate (PEM) and its key: {error.strerror}"
        ) from None

    def content(path: str | None) -> bytes | None:
        return Path(path).read_bytes() if path else None

    return grpc.ssl_channel_credentials(content(tls.ca), content(tls.key), content(tls.certificate))


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n", 1)[0][:300]
