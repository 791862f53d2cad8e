"""The console's listener. Whatever becomes of it, shipping goes on."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import structlog
from aiohttp import web

from hookgate.app.listeners import Listener, ListenError, listen
from hookgate.app.origin import Hosts
from hookgate.app.tls import Certified, TlsListener
from hookgate.audit.fleet.expected import Inventory
from hookgate.audit.shipping.status import Status
from hookgate.config.audit import Audit
from hookgate.config.console import Console, store_of
from hookgate.config.identity import TokenSource
from hookgate.console import evidence, fleet, live, login, overview, people, policies, record, search, timeline, whatif
from hookgate.console.asking import Asking
from hookgate.console.guard import faults, headers, known, ours
from hookgate.console.job import Jobs
from hookgate.console.link import Link
from hookgate.console.looks import Looks
from hookgate.console.oidc import Provider
from hookgate.console.shown import STATIC, environment
from hookgate.console.surroundings import SURROUNDINGS, Surroundings
from hookgate.console.visitor import Sessions
from hookgate.identity.tokens import Tokens
from hookgate.identity.watched import IdentityError, Watch

_BODY_BYTES = 64 * 1024
_AGAIN_SECONDS = 5.0
_HANDSHAKE_SECONDS = 5.0
_KEEP_ALIVE_SECONDS = 60.0
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_KEPT = "public, max-age=31536000, immutable"


class ConsoleServer:
    """Serves the pages, until it is stopped. `status` gives how the shippers are doing; `said` is given the link as soon as
    there is one."""

    def __init__(
        self,
        config: Console,
        audit: Audit,
        log: structlog.typing.FilteringBoundLogger,
        *,
        admin: str = "",
        status: Callable[[], Status] = Status,
        said: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._config = config
        self._audit = audit
        self._log = log
        self._admin = admin
        self._status = status
        self._said = said
        self._tasks: list[asyncio.Task[None]] = []
        self._ends: list[Callable[[], Awaitable[None]]] = []

    def start(self) -> None:
        """Begins, and returns at once; what stands in the way is tried again and told in the log."""
        self._tasks.append(asyncio.create_task(self._begin()))

    async def stop(self) -> None:
        """Ends it; open streams are cut off."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for end in reversed(self._ends):
            with suppress(OSError, TimeoutError):
                await end()
        self._ends.clear()

    async def _begin(self) -> None:
        told = ""
        while True:
            try:
                await self._serve()
            except (ListenError, IdentityError, OSError) as error:
                for end in reversed(self._ends):
                    await end()
                self._ends.clear()
                if (why := str(error)) != told:
                    self._log.error("console_failed", detail=why)
                told = why
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return

    async def _serve(self) -> None:
        config = self._config
        listener = listen(config.host, config.port, "console")
        self._ends.append(_closing(listener.socket.close))
        scheme = "https" if config.tls.certificate else "http"
        surroundings = self._surroundings(config.public_url.rstrip("/") or f"{scheme}://{listener.address}")
        runner = web.AppRunner(
            application(surroundings), access_log=None, shutdown_timeout=0.5, keepalive_timeout=_KEEP_ALIVE_SECONDS
        )
        self._ends.append(_closing(surroundings.ask.close, surroundings.ask_live.close, surroundings.looks.close))
        self._ends.append(surroundings.jobs.close)
        await runner.setup()
        self._ends.append(runner.cleanup)
        await self._listen(runner, listener)
        link = ""
        if surroundings.link is not None:
            link = await asyncio.to_thread(surroundings.link.make)
            self._ends.append(_closing(surroundings.link.remove))
        self._log.info(
            "console_listening", address=listener.address, link=str(surroundings.link.path) if surroundings.link else ""
        )
        self._said(link)

    async def _listen(self, runner: web.AppRunner, listener: Listener) -> None:
        if not self._config.tls.certificate:
            await web.SockSite(runner, listener.socket).start()
            return
        if runner.server is None:
            raise ListenError("console: it could not be set up")
        certified = Certified(self._config.tls, _Told(self._log), "console.tls")
        self._tasks.append(asyncio.create_task(certified.run()))
        tls = TlsListener(
            listener.socket,
            runner.server,
            certified,
            handshake_seconds=lambda: _HANDSHAKE_SECONDS,
            refused=self._tls_refused,
            count=lambda: None,
        )
        self._ends.append(_closing(tls.close))

    def _tls_refused(self, remote: str, reason: str, untold: int) -> None:
        self._log.warning("tls_refused", remote=remote, reason=reason, untold=untold)

    def _surroundings(self, base: str) -> Surroundings:
        config, directory = self._config, Path(self._audit.directory)
        where, schema = store_of(config, self._audit)
        watch = _Told(self._log)
        tokens = None
        if config.tokens:
            tokens = Tokens(TokenSource(file=config.tokens), watch, leaves_others=False)
            self._tasks.append(asyncio.create_task(tokens.run()))
        return Surroundings(
            config=config,
            directory=directory,
            where=where,
            schema=schema,
            admin=self._admin,
            ask=Asking(where, schema, limit_seconds=config.question_seconds),
            ask_live=Asking(where, schema, limit_seconds=config.question_seconds, name="console-live", threads=1),
            looks=Looks(directory),
            sessions=Sessions(config.session_seconds),
            jobs=Jobs(),
            hosts=Hosts((*config.allowed_hosts, *_host_of(config.public_url))),
            inventory=Inventory(Path(config.expected) if config.expected else None),
            log=self._log,
            status=self._status,
            link=Link(directory, base) if config.by_link else None,
            tokens=tokens,
            provider=Provider(config.oidc, watch) if config.oidc.issuer else None,
        )


def application(surroundings: Surroundings) -> web.Application:
    """Gives the application with all pages."""
    environment()
    app = web.Application(middlewares=[headers, ours, known, faults], client_max_size=_BODY_BYTES)
    app[SURROUNDINGS] = surroundings
    app.add_routes(
        [
            web.get("/", overview.show),
            web.get("/overview/closer", overview.closer),
            web.get("/service", overview.service),
            web.get("/search", search.show),
            web.get("/search.csv", search.as_csv),
            web.get("/search.json", search.as_json),
            web.get("/record/{id:.+}", record.show),
            web.get("/session/{id:.+}", timeline.show),
            web.get("/live", live.show),
            web.get("/live/stream", live.stream),
            web.get("/people", people.show),
            web.get("/fleet", fleet.show),
            web.get("/policies", policies.show),
            web.get("/whatif", whatif.show),
            web.post("/whatif", whatif.begin),
            web.get("/whatif/{name}", whatif.state),
            web.get("/evidence", evidence.show),
            web.post("/evidence/verify", evidence.verify),
            web.get("/evidence/verify/{name}", evidence.verification),
            web.post("/evidence/report", evidence.report),
            web.get("/evidence/report/{name}", evidence.report_state),
            web.get("/evidence/report/{name}/file", evidence.report_file),
            web.get("/login", login.login),
            web.post("/login", login.by_form),
            web.get("/login/provider", login.to_provider),
            web.get("/login/callback", login.from_provider),
            web.post("/logout", login.logout),
            web.get("/healthz", _healthz),
            web.get("/static/{name}", _static),
        ]
    )
    return app


async def _healthz(_: web.Request) -> web.Response:
    return web.json_response({"alive": True})


async def _static(request: web.Request) -> web.StreamResponse:
    name = request.match_info["name"]
    kind = _TYPES.get(Path(name).suffix)
    if kind is None or name not in _files():
        raise web.HTTPNotFound
    return web.Response(body=_files()[name], content_type=kind, charset="utf-8", headers={"Cache-Control": _KEPT})


@cache
def _files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in STATIC.iterdir() if path.suffix in _TYPES}


def _closing(*closes: Callable[[], object]) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        for one in closes:
            one()

    return close


def _host_of(url: str) -> tuple[str, ...]:
    host = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    return (name,) if name else ()


class _Told(Watch):
    """Tells the log what becomes of files and keys."""

    def __init__(self, log: structlog.typing.FilteringBoundLogger) -> None:
        self._log = log

    def file_taken(self, path: str) -> None:
        """A changed file counts."""
        self._log.info("identity_file_taken", path=path)

    def file_refused(self, path: str, why: str) -> None:
        """A changed file is broken."""
        self._log.error("identity_file_refused", path=path, detail=why)

    def keys_fetched(self, issuer: str, count: int) -> None:
        """An issuer's keys were fetched."""

    def keys_failed(self, issuer: str, why: str) -> None:
        """An issuer's keys could not be fetched."""
        self._log.warning("keys_failed", issuer=issuer, detail=why)

    def unfilled(self, header: str) -> None:
        """Browsers fill nothing in."""
