"""The whole service: what is opened, in order, and closed in the reverse one."""

import asyncio
import os
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from hookgate import __version__
from hookgate.app.admin import admin_app
from hookgate.app.beginning import keep_settings, note_change, note_start, recalled
from hookgate.app.endpoint import HookEndpoint
from hookgate.app.keeping import journal_options, retention_terms, shipper_names
from hookgate.app.listeners import Listener, ListenError, inherited, is_exposed, listen
from hookgate.app.noting import NoteKeeper
from hookgate.app.protocol import HookServer
from hookgate.app.reload import Reload
from hookgate.app.supervisor import Supervisor
from hookgate.app.tls import Certified, TlsListener
from hookgate.audit.error import JournalError
from hookgate.audit.journal import Journal
from hookgate.audit.key import RedactionKey
from hookgate.audit.record import Origin, Record, hostname
from hookgate.audit.redact import Redactor
from hookgate.audit.retention import Retention
from hookgate.audit.scribe import Scribe
from hookgate.config import Config
from hookgate.config.change import Change
from hookgate.gate import Gate
from hookgate.identity.chain import Chain
from hookgate.identity.watched import IdentityError
from hookgate.pdp.canary import Canary, Probe
from hookgate.pdp.client import PdpClient
from hookgate.pdp.findings import CanaryState, Findings
from hookgate.pdp.transport import ChannelError, channel_for
from hookgate.probes import expectation_probes
from hookgate.telemetry.identity import IdentityWatch
from hookgate.telemetry.metrics import Metrics
from hookgate.telemetry.spans import spans_for
from hookgate.telemetry.trail import TrailWatch
from hookgate.telemetry.writer import LineWriter

#: How long the journal may take to write what is waiting, when the service ends.
_JOURNAL_CLOSE_SECONDS = 2.0


class StartError(Exception):
    """The service can't start; one line that says why and what to do."""


class Service:
    """One running Hookgate. `start` inside the running loop, `stop` to end it; `observe` sees each record. `path` is the file that
    the configuration came from, which is read again when it changes; `notices` are warnings that the start has found before."""

    def __init__(
        self,
        config: Config,
        log: structlog.typing.FilteringBoundLogger,
        *,
        path: Path | None = None,
        notices: Sequence[str] = (),
        log_writer: LineWriter | None = None,
        observe: Callable[[Record], None] = lambda record: None,
    ) -> None:
        self.config = config
        self.metrics = Metrics()
        self._log = log
        self._log_writer = log_writer
        self._observe = observe
        self._path = path
        self._notices = list(notices)
        self._reload: Reload | None = None
        self._stopping = False
        self._supervisor: Supervisor | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, environ: MutableMapping[str, str] = os.environ) -> None:
        """Opens everything and serves. Raises StartError, with everything closed again."""
        async with AsyncExitStack() as opened:
            await self._open(environ, opened)
            # What is open now is closed by `stop`.
            opened.pop_all()

    async def _open(self, environ: MutableMapping[str, str], opened: AsyncExitStack) -> None:
        config, loop = self.config, asyncio.get_running_loop()
        try:
            handed = inherited(environ)
            self.hooks = handed.get("hooks") or listen(config.server.host, config.server.port, "server")
            opened.callback(self.hooks.socket.close)
            self.admin = handed.get("admin") or (
                listen(config.admin.host, config.admin.port, "admin") if config.admin.enabled else None
            )
            if self.admin is not None:
                opened.callback(self.admin.socket.close)
            self._watch = TrailWatch(self.metrics, self._log)
            directory, kept = Path(config.audit.directory), RedactionKey()
            self._journal = Journal(directory, journal_options(config.audit), self._watch, lambda: kept.keep(directory))
            opened.push_async_callback(self._journal.close, timeout_seconds=_JOURNAL_CLOSE_SECONDS)
            await asyncio.to_thread(self._journal.open, patience_seconds=self._patience_seconds)
            key = kept.value
        except (ListenError, JournalError) as error:
            raise StartError(str(error)) from None
        try:
            self._spans = spans_for(config.traces, instance=self._journal.instance, metrics=self.metrics, log=self._log)
        except ValueError as error:
            # OpenTelemetry's own variables, which set what the settings leave open.
            raise StartError(f"traces: {error}") from None
        opened.push_async_callback(self._spans.stop)
        try:
            self._transport = channel_for(config.pdp, self._spans.metadata, fell_back=self._fell_back)
        except ChannelError as error:
            raise StartError(str(error)) from None
        except (OSError, ValueError) as error:
            raise StartError(f"pdp: {error}") from None
        opened.push_async_callback(self._transport.close)
        pdp = PdpClient(self._transport, max_request_bytes=config.pdp.max_request_bytes)
        self.canary = Canary(
            pdp.check,
            interval_seconds=config.canary.interval_seconds,
            required=config.canary.required,
            expectations=expectation_probes(config),
            report=self._canary_report,
        )
        identities, certified = self._sources(config)
        self._origin = Origin(self._journal.instance, hostname())
        self.gate = Gate(
            config,
            pdp=pdp,
            journal=self._journal,
            metrics=self.metrics,
            log=self._log,
            canary=self.canary,
            identities=identities,
            key=key,
            origin=self._origin,
            calls=await recalled(config, self._log),
            spans=self._spans,
            observe=self._observe,
        )
        health = f"http://{self.admin.address}/readyz" if self.admin else "admin.enabled is false"
        self._endpoint = HookEndpoint(config, self.gate, health=health, report_fault=self._fault)
        self._hook_server = HookServer(
            self._endpoint,
            loop=loop,
            header_bytes=config.limits.header_bytes,
            keep_alive_seconds=config.server.keep_alive_seconds,
            first_request_seconds=config.server.first_request_seconds,
            max_connections=config.limits.connections,
            max_connections_per_peer=config.limits.connections_per_peer,
            report_fault=self._fault,
            report_connections=self.metrics.connections.set,
        )
        self._tell(config)
        await note_start(config, key, self.gate, self._log)
        for notice in self._notices:
            self._log.warning("exposed", detail=notice)
        if (earlier := self._journal.earlier_records) is not None:
            self._log.warning("earlier_records", path=str(earlier))
        self._tasks.append(asyncio.create_task(identities.run()))
        self._listening = await self._listen(certified)
        if self.admin is not None:
            await self._serve_admin(self.admin)
        self._asking = asyncio.create_task(self.canary.run())
        if self._path is not None:
            self._watch_configuration(self._path, key)
        self._retention = self._retain()
        self._log.info(
            "started", hooks=self.hooks.address, admin=self.admin.address if self.admin else "", version=__version__
        )
        if config.audit.shippers:
            self._ship(key)

    def _sources(self, config: Config) -> tuple[Chain, Certified | None]:
        """Reads what the sources of identity and the listener's TLS need."""
        watch = IdentityWatch(self.metrics, self._log)
        try:
            certified = Certified(config.server.tls, watch) if config.server.tls.certificate else None
            revocations = certified.revocations if certified else None
            return Chain(config.identity, watch=watch, revocations=revocations), certified
        except IdentityError as error:
            raise StartError(str(error)) from None

    async def _listen(self, certified: Certified | None) -> asyncio.Server | TlsListener:
        """Takes connections from now on."""
        if certified is None:
            if is_exposed(self.hooks.socket):
                self._notices.append(f"hooks come without TLS to {self.hooks.address}")
                self._log.warning(
                    "no_tls", hooks=self.hooks.address, mend="set server.tls.certificate and server.tls.key"
                )
            loop = asyncio.get_running_loop()
            return await loop.create_server(self._hook_server, sock=self.hooks.socket, backlog=1024)
        self._tasks.append(asyncio.create_task(certified.run()))
        return TlsListener(
            self.hooks.socket,
            self._hook_server,
            certified,
            handshake_seconds=lambda: self.config.server.first_request_seconds,
            count=self.metrics.tls_refused.inc,
            refused=self._tls_refused,
        )

    def _tls_refused(self, remote: str, reason: str, untold: int) -> None:
        self._log.warning("tls_refused", remote=remote, reason=reason, untold=untold)
        self.gate.note("tls_refused", {"remote": remote, "reason": reason, "untold": untold})

    def reload(self) -> None:
        """Has the configuration's file read again."""
        if self._reload is not None:
            self._reload.ask()
        elif self._path is None:
            self._log.warning("no_reload", mend="restart Hookgate: its configuration came from the environment alone")

    def _watch_configuration(self, path: Path, key: bytes) -> None:
        def record(before: Config, found: Change) -> None:
            note_change(before, found, key, self.gate)

        def kept(config: Config) -> None:
            keep_settings(config, key, self._log)

        self._reload = Reload(
            self.config,
            path,
            take=self._take,
            record=record,
            keep=kept,
            note=self.gate.note,
            metrics=self.metrics,
            log=self._log,
        )
        self._reload.start()

    def _take(self, config: Config, probes: Sequence[Probe]) -> None:
        """Puts a configuration into force: each request from now on begins with it, and nothing can fail on the way."""
        self.gate = self.gate.successor(config)
        self._endpoint.adopt(config, self.gate)
        self._hook_server.first_request_seconds = config.server.first_request_seconds
        self._hook_server.open_connections.bound(config.limits.connections, config.limits.connections_per_peer)
        self.canary.expect(config.canary.interval_seconds, probes, required=config.canary.required)
        # From a new beginning: what is to be asked now is asked now.
        self._asking.cancel()
        self._asking = asyncio.create_task(self.canary.run())
        self.config = config
        self._tell(config)

    def _tell(self, config: Config) -> None:
        self.metrics.config_info.info(
            {"mode": config.mode.value, "on_error": config.on_error.value, "no_match": config.no_match.value}
        )

    def readiness(self) -> dict[str, Any]:
        """Gives `ready`, and the `reasons` against it; the canary's findings are told, but never take readiness away."""
        reasons = []
        if self._stopping:
            reasons.append("stopping")
        if not self.canary.asked.is_set():
            reasons.append("the canary has not been asked yet")
        self.metrics.ready.set(0 if reasons else 1)
        if self._log_writer is not None:
            self.metrics.log_lines_dropped.set(self._log_writer.dropped)
        findings = self.canary.findings
        return {
            "ready": not reasons,
            "reasons": reasons,
            "canary": {"state": findings.state.value, "faults": list(findings.faults), "trusted": self.canary.trusted},
            "pdp_strict_evaluation": findings.strict,
            "configuration": self._reload.status() if self._reload is not None else {},
            "warnings": self._notices,
            "version": __version__,
        }

    async def stop(self) -> None:
        """Not ready at once; what was accepted is answered; then everything is closed."""
        self._stopping = self._endpoint.draining = True
        self._log.info("stopping", in_flight=self.gate.in_flight)
        if self._reload is not None:
            self._reload.stop()
        server, listening = self.config.server, self._listening
        if self.hooks.inherited:
            # New connections wait in the socket's queue for the successor.
            listening.close()
        cut = await self._hook_server.drain(
            linger_seconds=server.linger_seconds,
            grace_seconds=server.grace_seconds,
            stop_listening=None if self.hooks.inherited else listening.close,
            hurry=self.gate.hurry,
        )
        # What was closed just now ends in the loop's next turns.
        await self._hook_server.drain(linger_seconds=0.0, grace_seconds=0.2)
        for task in (self._asking, *self._tasks):
            task.cancel()
        await asyncio.gather(self._asking, *self._tasks, return_exceptions=True)
        self.gate.note("stop", {"unanswered": cut})
        await asyncio.to_thread(self._retention.stop, 1.0)
        await self._journal.close(timeout_seconds=_JOURNAL_CLOSE_SECONDS)
        if self._supervisor is not None:
            await self._supervisor.stop()
        await self._transport.close()
        await self._spans.stop()
        if self.admin is not None:
            await self._admin_runner.cleanup()
        self._log.info("stopped", unanswered=cut)

    @property
    def _patience_seconds(self) -> float:
        """How long a predecessor may take to end, if it has the same settings; with a listener of its own it has left the
        port by then."""
        server = self.config.server
        return server.linger_seconds + server.grace_seconds + _JOURNAL_CLOSE_SECONDS + 1.0

    def _retain(self) -> Retention:
        audit = self.config.audit
        retention = Retention(Path(audit.directory), self._journal, retention_terms(audit), self._watch)
        for name in shipper_names(audit):
            self.metrics.journal_dropped.labels(name)
        self._journal.on_want_of_room(retention.wake)
        retention.start()
        return retention

    def _ship(self, key: bytes) -> None:
        """What is shipped, and by whom, comes last: nothing waits for it."""
        audit = self.config.audit
        scribe = Scribe(Redactor(key, audit.redaction))
        keeper = NoteKeeper(Path(audit.directory), self._journal, scribe, self._origin, self._log)
        self._tasks.append(asyncio.create_task(keeper.run()))
        if audit.supervise:
            self._supervisor = Supervisor(
                self.config, self.metrics.ship, self._log, admin=self.admin.address if self.admin is not None else ""
            )
            self._supervisor.start()

    async def _serve_admin(self, admin: Listener) -> None:
        self._admin_runner = web.AppRunner(
            admin_app(self.metrics, self.readiness, allowed_hosts=self.config.admin.allowed_hosts),
            access_log=None,
            shutdown_timeout=1.0,
        )
        await self._admin_runner.setup()
        await web.SockSite(self._admin_runner, admin.socket).start()

    def _canary_report(self, before: Findings, now: Findings) -> None:
        self.metrics.canary_state(now.state, trusted=self.canary.trusted, strict=now.strict)
        if before == now:
            return
        good = now.state is CanaryState.OK and now.strict is not False
        write = self._log.info if good else self._log.warning
        write("canary", state=now.state.value, faults=list(now.faults), strict=now.strict, trusted=self.canary.trusted)
        self.gate.note(
            "canary",
            {
                "state": now.state.value,
                "faults": list(now.faults),
                "strict": now.strict,
                "policies": now.policies,
            },
        )

    def _fell_back(self, why: str) -> None:
        self.metrics.pdp_fallbacks.inc()
        self._log.warning("pdp_transport_fell_back", to="grpcio", why=why)

    def _fault(self, error: BaseException | None) -> None:
        self._log.error("internal", exception_type=type(error).__name__ if error is not None else "")
