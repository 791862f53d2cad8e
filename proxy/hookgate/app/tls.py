"""TLS on a listener: certificates that are exchanged while it runs, and handshakes that fail in the open."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hookgate.config.tls import ServerTls
from hookgate.identity.certificate import Revocations
from hookgate.identity.watched import IdentityError, Watch, WatchedFile

#: What may shake hands at once; beyond it, who has taken longest goes.
_MOST_HANDSHAKES = 256
#: How long a connection's orderly end may take.
_SHUTDOWN_SECONDS = 2.0
#: Records of refused handshakes in a second; the next one tells how many had none.
_MOST_TOLD = 5

Told = Callable[[str, str, int], None]


class Certified:
    """The context of each new connection, made of files that are read again when they change. Connections that are open keep
    theirs.

    Raises IdentityError where the files can't be used.
    """

    def __init__(self, config: ServerTls, watch: Watch, where: str = "server.tls") -> None:
        self._config = config
        self._watch = watch
        self._where = where
        self.revocations = Revocations()
        names = [config.certificate, config.key, config.client_ca, config.client_crl]
        self._files = [WatchedFile(name, bytes, watch) for name in names if name]
        try:
            self.context = self._made()
        except ValueError as error:
            raise IdentityError(f"{where}: {error}") from None

    async def run(self) -> None:
        """Looks at the files. A certificate and its key may change one after the other: where they don't fit, what counted
        still does."""
        generations, refused = self._generations(), ""
        async with asyncio.TaskGroup() as group:
            for file in self._files:
                group.create_task(file.run())
            while True:
                await asyncio.sleep(0.1)
                if (now := self._generations()) == generations:
                    continue
                generations = now
                try:
                    self.context = await asyncio.to_thread(self._made)
                except ValueError as error:
                    refused = str(error)
                    self._watch.file_refused(self._where, refused)

    def _generations(self) -> list[int]:
        return [file.generation for file in self._files]

    def _made(self) -> ssl.SSLContext:
        """Raises ValueError, with why, where the files can't be used together."""
        config = self._config
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        _load(
            config.certificate, lambda: context.load_cert_chain(config.certificate, config.key, password=_no_passphrase)
        )
        if config.client_ca:
            context.verify_mode = ssl.CERT_REQUIRED if config.client_required else ssl.CERT_OPTIONAL
            _load(config.client_ca, lambda: context.load_verify_locations(config.client_ca))
        if config.client_crl:
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
            _load(config.client_crl, lambda: context.load_verify_locations(config.client_crl))
            try:
                self.revocations.read(Path(config.client_crl).read_bytes())
            except (OSError, ValueError) as error:
                raise ValueError(f"{config.client_crl}: {error}") from None
        return context


def _load(name: str, load: Callable[[], None]) -> None:
    try:
        load()
    except ssl.SSLError as error:
        raise ValueError(f"{name}: can't be used: {error.reason or 'no PEM'}") from None
    except OSError as error:
        raise ValueError(f"{name}: can't be read: {error.strerror}") from None


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase; give one without")


class TlsListener:
    """Accepts connections and shakes hands, each in a task of its own. `refused` is told the address, the reason and how many
    others were refused before without being told of."""

    def __init__(
        self,
        sock: socket.socket,
        factory: Callable[[], asyncio.Protocol],
        certified: Certified,
        *,
        handshake_seconds: Callable[[], float],
        refused: Told,
        count: Callable[[], None],
    ) -> None:
        self._socket = sock
        self._factory = factory
        self._certified = certified
        self._handshake_seconds = handshake_seconds
        self._refused = refused
        self._count = count
        self._handshakes: dict[asyncio.Task[None], None] = {}
        self._window, self._told, self._untold = 0, 0, 0
        self._accepting = asyncio.create_task(self._accept())

    def close(self) -> None:
        """Takes no further connections; those that shake hands go on."""
        self._accepting.cancel()

    async def _accept(self) -> None:
        try:
            await self._accept_all()
        finally:
            self._socket.close()

    async def _accept_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(self._socket)
            except OSError:
                # No file is left for it, or it has gone again; another may come.
                await asyncio.sleep(0.05)
                continue
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = asyncio.create_task(self._shake_hands(connection, address))
            self._handshakes[task] = None
            task.add_done_callback(lambda done: self._handshakes.pop(done, None))
            if len(self._handshakes) > _MOST_HANDSHAKES:
                next(iter(self._handshakes)).cancel()

    async def _shake_hands(self, connection: socket.socket, address: Any) -> None:
        loop, why = asyncio.get_running_loop(), ""
        try:
            async with asyncio.timeout(self._handshake_seconds()):
                await loop.connect_accepted_socket(
                    self._factory,
                    connection,
                    ssl=self._certified.context,
                    ssl_handshake_timeout=self._handshake_seconds() + 1,
                    ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
                )
            return
        except ssl.SSLError as error:
            verify = getattr(error, "verify_message", "")
            why = f"{error.reason or type(error).__name__}{f': {verify}' if verify else ''}"
        except TimeoutError:
            why = "TIMEOUT"
        except OSError as error:
            # A probe of the port, or a client that has gone: no more than a count.
            why = "" if isinstance(error, ConnectionError) else type(error).__name__
        finally:
            if why:
                connection.close()
        self._count()
        if why:
            self._tell(str(address[0]) if isinstance(address, tuple) else "", why)

    def _tell(self, remote: str, why: str) -> None:
        """Not more often than some times a second: who knocks could fill the disk."""
        window = int(time.monotonic())
        if window != self._window:
            self._window, self._told = window, 0
        self._told += 1
        if self._told > _MOST_TOLD:
            self._untold += 1
            return
        untold, self._untold = self._untold, 0
        self._refused(remote, why, untold)
