"""What a collector answers: lines taken, a position, an enrolment."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
import structlog
from aiohttp import web

from hookgate.audit.error import UNREADABLE
from hookgate.collect.allowance import Allowance
from hookgate.collect.appending import Answer, Incoming, progress_of
from hookgate.collect.batching import Batcher, BusyError
from hookgate.collect.body import BODY_BYTES, UNPACKED_BYTES, BodyError, lines_of, unpacked
from hookgate.collect.enrolment import EnrolmentError, Request, enroll_by_certificate, enroll_by_code
from hookgate.collect.lines import Lines
from hookgate.collect.session import Database, DatabaseError
from hookgate.collect.who import Who
from hookgate.config.collect import Collect
from hookgate.harmless import harmless
from hookgate.streams import first_of
from hookgate.telemetry.collecting import CollectMetrics

#: A body has to come within this time, so that slow senders don't take up all the room.
_BODY_SECONDS = 30.0
#: Attempts with a credential that nobody has, from one address: some at once, then one in so many seconds.
_FAILURES, _FAILURE_SECONDS = 30, 2.0
_ENROL_BYTES = 8192
#: Of lines that wait to be stored: what comes while the store takes nothing is put off.
_HELD_BYTES = 64 << 20
#: A record that is larger counts as several.
_RECORD_BYTES = 4096
_MOST_RETRY_SECONDS = 300


class Answering:
    """Answers requests."""

    def __init__(
        self,
        config: Collect,
        database: Database,
        batcher: Batcher,
        who: Who,
        *,
        lines: Lines,
        metrics: CollectMetrics,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._config = config
        self._database = database
        self._batcher = batcher
        self._who = who
        self._lines = lines
        self._metrics = metrics
        self._log = log
        self._allowance = Allowance(config.records_per_second, config.burst_records)
        self._failures = Allowance(1 / _FAILURE_SECONDS, _FAILURES, most_names=10_000)
        #: That a revoked journal still sends is told again after a minute.
        self._revoked = Allowance(1 / 60, 1)
        self._reading: set[str] = set()
        #: Bytes of lines that wait to be stored.
        self._held = 0
        #: Who has no credential yet gets one connection to the store at most.
        self._enrolling = asyncio.Lock()
        self._is_ending = False

    def end(self) -> None:
        """From now on nothing more is taken; what was read is stored."""
        self._is_ending = True

    async def records(self, request: web.Request) -> web.Response:
        """POST /v1/records."""
        return await self._answered(request, self._records)

    async def position(self, request: web.Request) -> web.Response:
        """GET /v1/position."""
        return await self._answered(request, self._position)

    async def enroll(self, request: web.Request) -> web.Response:
        """POST /v1/enroll."""
        return await self._answered(request, self._enroll)

    async def _answered(self, request: web.Request, answer: Callable[[web.Request], Any]) -> web.Response:
        try:
            response: web.Response = await answer(request)
        except BodyError as error:
            response = _said(error.status, str(error), seq=error.seq)
        except EnrolmentError as error:
            response = self._unknown(request.remote or "", str(error))
        except BusyError as error:
            response = _said(429 if error.is_own else 503, str(error), wait_seconds=error.seconds)
        except DatabaseError as error:
            self._batcher.fault = str(error)
            response = _said(503, "the store does not answer now", wait_seconds=5)
        except web.HTTPException:
            raise
        except (TimeoutError, ConnectionError):
            response = _said(408, "the body did not come in time")
        except Exception as error:  # noqa: BLE001 (whatever it is, nobody is told more than that)
            self._log.error("internal", exc_info=error)
            response = _said(500, "internal error")
        self._metrics.requests.labels(str(response.status)).inc()
        return response

    def _unknown(self, remote: str, why: str) -> web.Response:
        """Only here, where it is known that the credential is nobody's: others may come from the same address."""
        if wait := self._failures.wait_seconds(remote):
            return _said(429, "too many attempts with credentials that nobody has", wait_seconds=wait)
        self._failures.spend(remote, 1)
        return _said(403, why)

    async def _journal(self, request: web.Request) -> str:
        """Gives whose request it is. Raises BusyError, EnrolmentError."""
        if self._is_ending:
            raise BusyError("the collector ends", 1, is_own=False)
        holder = await self._who.find(request)
        if holder is None:
            raise EnrolmentError("no token or certificate that counts: `hookgate enroll` gets one")
        if holder.is_revoked:
            await self._tell_revoked(holder.instance)
            raise EnrolmentError("the journal's enrolment was revoked")
        self._lines.prove(request.protocol, holder.instance)
        if wait := self._allowance.wait_seconds(holder.instance):
            raise BusyError("more than this journal may send", wait, is_own=True)
        return holder.instance

    async def _tell_revoked(self, instance: str) -> None:
        """A batch without lines is judged as any: that it comes at all is what is found."""
        if not self._revoked.wait_seconds(instance) and not self._batcher.has(instance):
            self._revoked.spend(instance, 1)
            await self._batcher.take(Incoming(instance, ()))

    async def _records(self, request: web.Request) -> web.Response:
        instance = await self._journal(request)
        if instance in self._reading or self._batcher.has(instance):
            raise BusyError("a batch of this journal is under way", 1, is_own=True)
        if len(self._reading) >= self._config.requests:
            raise BusyError("too many batches at once", 1, is_own=False)
        if self._held >= _HELD_BYTES:
            raise BusyError("too much waits to be stored", 5, is_own=False)
        self._reading.add(instance)
        try:
            batch = await self._read(request, instance)
        finally:
            self._reading.discard(instance)
        at, size = time.monotonic(), sum(len(one.raw) for one in batch.lines)
        self._held += size
        try:
            answer = await self._batcher.take(batch)
        finally:
            self._held -= size
        self._metrics.append_seconds.observe(time.monotonic() - at)
        if answer.status != 200:
            return _said(answer.status, answer.error, seq=answer.seq)
        return web.json_response({"seq": answer.seq, "hash": answer.hash, "taken": answer.taken, "known": answer.known})

    async def _read(self, request: web.Request, instance: str) -> Incoming:
        if (request.content_length or 0) > BODY_BYTES:
            raise BodyError(413, f"the body is larger than {BODY_BYTES} bytes")
        encoding = request.headers.get("Content-Encoding", "").strip().lower()
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise BodyError(413, f"the body is larger than {BODY_BYTES} bytes") from None
        self._metrics.bytes.inc(len(body))
        try:
            lines = await asyncio.to_thread(lambda: lines_of(unpacked(body, encoding)))
        except BodyError:
            # It was work, too, and more than was sent where it was packed.
            self._allowance.spend(instance, UNPACKED_BYTES // _RECORD_BYTES)
            raise
        size = sum(len(one.raw) for one in lines)
        self._allowance.spend(instance, max(1, len(lines), size // _RECORD_BYTES))
        gap_known = request.headers.get("Hookgate-Gap", "") == "known"
        return Incoming(instance, lines, gap_known, _skew_micros(request.headers.get("Date", "")))

    async def _position(self, request: web.Request) -> web.Response:
        instance = await self._journal(request)
        self._allowance.spend(instance, 1)
        async with self._database.transaction() as session:
            progress = await progress_of(session, instance)
        if progress is None:
            raise EnrolmentError("the journal is not enrolled")
        return web.json_response({"seq": progress.seq, "hash": progress.hash})

    async def _enroll(self, request: web.Request) -> web.Response:
        async with asyncio.timeout(_BODY_SECONDS):
            body = await first_of(request.content, _ENROL_BYTES)
        try:
            wanted = msgspec.json.decode(body, type=Request)
        except UNREADABLE:
            raise BodyError(400, "the body is no enrolment") from None
        async with self._enrolling:
            return await self._enrolled(request, wanted)

    async def _enrolled(self, request: web.Request, wanted: Request) -> web.Response:
        now = time.time_ns() // 1000
        if wanted.code:
            name, token = await enroll_by_code(self._database, wanted, now=now)
            self._log.info("collect_enrolled", journal=wanted.instance, name=name, how="code")
            return web.json_response({"name": name, "token": token})
        named = self._who.named(request)
        if named is None:
            raise EnrolmentError("no code, and no client certificate that names a machine")
        if harmless(named.name, 120) != named.name:
            raise EnrolmentError("the certificate's name is too long, or has characters that no name has")
        await enroll_by_certificate(self._database, wanted, named.name, named.fingerprint, now=now)
        self._log.info("collect_enrolled", journal=wanted.instance, name=named.name, how="certificate")
        return web.json_response({"name": named.name, "token": ""})


def tell(metrics: CollectMetrics, log: structlog.typing.FilteringBoundLogger) -> Callable[[Incoming, Answer], None]:
    """Gives what counts what was stored, and says what was found."""

    def told(batch: Incoming, answer: Answer) -> None:
        metrics.records.labels("new").inc(answer.taken)
        metrics.records.labels("known").inc(answer.known)
        for kind in answer.found:
            metrics.findings.labels(kind.value).inc()
            log.warning("collect_finding", journal=batch.instance, kind=kind.value, seq=answer.seq)

    return told


def _said(status: int, error: str, *, seq: int = 0, wait_seconds: float = 0) -> web.Response:
    headers = {}
    if wait_seconds:
        headers["Retry-After"] = str(max(1, min(_MOST_RETRY_SECONDS, round(wait_seconds + 0.5))))
    return web.json_response({"error": error, "seq": seq}, status=status, headers=headers)


def _skew_micros(date: str) -> int | None:
    """How far the sender's clock is ahead, as far as its `Date` tells."""
    try:
        at = parsedate_to_datetime(date)
        return round((at - datetime.now(UTC)).total_seconds() * 1_000_000)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
