"""The whole service: what is opened, in order, and closed in the reverse one."""

import asyncio
import os
from collections.abc import Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from hookgate import __version__
from hookgate.app.admin import admin_app
from hookgate.app.endpoint import HookEndpoint
from hookgate.app.listeners import Listener, ListenError, inherited, listen
from hookgate.app.protocol import HookServer
from hookgate.app.reload import Reload
from hookgate.audit.error import JournalError
from hookgate.audit.journal import Journal
from hookgate.audit.key import redaction_key
from hookgate.audit.ledger import Options
from hookgate.audit.record import Record
from hookgate.audit.redact import Redactor
from hookgate.audit.scribe import Scribe
from hookgate.config import Config
from hookgate.gate import Gate
from hookgate.pdp.canary import Canary, Probe
from hookgate.pdp.channel import ChannelError, GrpcTransport
from hookgate.pdp.client import PdpClient
from hookgate.pdp.findings import CanaryState, Findings
from hookgate.probes import expectation_probes
from hookgate.telemetry.metrics import Metrics
from hookgate.telemetry.trail import TrailWatch
from hookgate.telemetry.writer import LineWriter


class StartError(Exception):
    """The service can't start; one line that says why and what to do."""


class Service:
    """One running Hookgate. `start` inside the running loop, `stop` to end it; `observe` sees each record. `path` is the file that
    the configuration came from, which is read again when it changes."""

    def __init__(
        self,
        config: Config,
        log: structlog.typing.FilteringBoundLogger,
        *,
        path: Path | None = None,
        log_writer: LineWriter | None = None,
        observe: Callable[[Record], None] = lambda record: None,
    ) -> None:
        self.config = config
        self.metrics = Metrics()
        self._log = log
        self._log_writer = log_writer
        self._observe = observe
        self._path = path
        self._reload: Reload | None = None
        self._stopping = False
        self._servers: list[asyncio.Server] = []

    async def start(self, environ: MutableMapping[str, str] = os.environ) -> None:
        """Opens everything and serves. Raises StartError, with everything closed again."""
        config, loop = self.config, asyncio.get_running_loop()
        try:
            handed = inherited(environ)
            self.hooks = handed.get("hooks") or listen(config.server.host, config.server.port, "server")
            self.admin = handed.get("admin") or (
                listen(config.admin.host, config.admin.port, "admin") if config.admin.enabled else None
            )
            self._journal = Journal(
                Path(config.audit.directory),
                Options(
                    sync=config.audit.durability == "disk",
                    segment_bytes=config.audit.segment_bytes,
                    segment_seconds=config.audit.segment_seconds,
                ),
                TrailWatch(self.metrics, self._log),
            )
            self._journal.open()
            key = redaction_key(Path(config.audit.directory))
        except (ListenError, JournalError) as error:
            raise StartError(str(error)) from None
        try:
            self._transport = GrpcTransport(config.pdp)
        except ChannelError as error:
            raise StartError(str(error)) from None
        except (OSError, ValueError) as error:
            raise StartError(f"pdp: {error}") from None
        pdp = PdpClient(self._transport, max_request_bytes=config.pdp.max_request_bytes)
        self.canary = Canary(
            pdp.check,
            interval_seconds=config.canary.interval_seconds,
            required=config.canary.required,
            expectations=expectation_probes(config),
            report=self._canary_report,
        )
        self.gate = Gate(
            config,
            pdp=pdp,
            journal=self._journal,
            metrics=self.metrics,
            log=self._log,
            canary=self.canary,
            scribe=Scribe(Redactor(key)),
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
        self.gate.note("start", {"version": __version__, "mode": config.mode.value})
        if (earlier := self._journal.earlier_records) is not None:
            self._log.warning("earlier_records", path=str(earlier))
        self._servers.append(await loop.create_server(self._hook_server, sock=self.hooks.socket, backlog=1024))
        if self.admin is not None:
            await self._serve_admin(self.admin)
        self._asking = asyncio.create_task(self.canary.run())
        if self._path is not None:
            self._reload = Reload(
                config, self._path, take=self._take, note=self.gate.note, metrics=self.metrics, log=self._log
            )
            self._reload.start()
        self._log.info(
            "started", hooks=self.hooks.address, admin=self.admin.address if self.admin else "", version=__version__
        )

    def reload(self) -> None:
        """Has the configuration's file read again."""
        if self._reload is not None:
            self._reload.ask()
        elif self._path is None:
            self._log.warning("no_reload", mend="restart Hookgate: its configuration came from the environment alone")

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
            "version": __version__,
        }

    async def stop(self) -> None:
        """Not ready at once; what was accepted is answered; then everything is closed."""
        self._stopping = self._endpoint.draining = True
        self._log.info("stopping", in_flight=self.gate.in_flight)
        if self._reload is not None:
            self._reload.stop()
        server, listening = self.config.server, self._servers[0]
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
        self._asking.cancel()
        await asyncio.gather(self._asking, return_exceptions=True)
        self.gate.note("stop", {"unanswered": cut})
        await self._journal.close(timeout_seconds=2.0)
        await self._transport.close()
        if self.admin is not None:
            await self._admin_runner.cleanup()
        self._log.info("stopped", unanswered=cut)

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
        if (before.state, before.faults, before.strict) == (now.state, now.faults, now.strict):
            return
        good = now.state is CanaryState.OK and now.strict is not False
        write = self._log.info if good else self._log.warning
        write("canary", state=now.state.value, faults=list(now.faults), strict=now.strict, trusted=self.canary.trusted)
        self.gate.note("canary", {"state": now.state.value, "faults": list(now.faults), "strict": now.strict})

    def _fault(self, error: BaseException | None) -> None:
        self._log.error("internal", exception_type=type(error).__name__ if error is not None else "")
