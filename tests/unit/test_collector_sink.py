"""What a machine does with a collector's answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web

from hookgate.audit.shipping.shipment import SinkError, SinkRefusedError
from hookgate.audit.sinks.collector import CollectorSink
from hookgate.config.shippers import CollectorShipper
from tests.support.chains import Machine


class Answers:
    """A collector that says what a test wants."""

    def __init__(self) -> None:
        self.status = 200
        self.body: dict[str, Any] = {"seq": 0}
        self.position = 0
        self.halves = self.is_endless = False
        self.headers: dict[str, str] = {}
        self.asked: list[dict[str, str]] = []

    async def records(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.asked.append({name.lower(): value for name, value in request.headers.items()})
        if not self.halves and not self.is_endless:
            return web.json_response(self.body, status=self.status, headers=self.headers)
        response = web.StreamResponse(status=self.status)
        await response.prepare(request)
        for half in (b'{"se', b'q": 5}') if self.halves else ():
            await response.write(half)
            await asyncio.sleep(0.05)
        with suppress(ConnectionError):
            while self.is_endless:
                await response.write(b" " * 65536)
        return response

    async def where(self, _: web.Request) -> web.Response:
        return web.json_response({"seq": self.position, "hash": ""})


@pytest.fixture
async def answers() -> AsyncIterator[tuple[Answers, CollectorSink]]:
    made, app = Answers(), web.Application()
    app.add_routes([web.post("/v1/records", made.records), web.get("/v1/position", made.where)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    sink = CollectorSink(CollectorShipper(url=f"http://127.0.0.1:{port}/", timeout_seconds=5))
    await sink.open()
    yield made, sink
    await sink.close()
    await runner.cleanup()


def batch(count: int) -> Any:
    machine = Machine()
    machine.decide(count)
    return machine.shipments


async def test_lines_before_the_first_one_are_asked_for_once_and_then_said_to_be_gone(
    answers: tuple[Answers, CollectorSink],
) -> None:
    collector, sink = answers
    lines = batch(4)[2:]
    collector.status, collector.body = 409, {"seq": 1, "error": "missing"}
    with pytest.raises(SinkError):
        await sink.send(lines)
    collector.position = 1
    await sink.open()
    assert not await sink.holds(lines[0].instance)
    collector.status, collector.body = 200, {"seq": 5}
    await sink.send(lines)
    await sink.send(lines)
    assert ["hookgate-gap" in headers for headers in collector.asked] == [False, True, False]
    await sink.open()
    assert await sink.holds(lines[0].instance)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, SinkRefusedError), (422, SinkRefusedError), (403, SinkError), (503, SinkError), (500, SinkError)],
)
async def test_a_line_at_fault_is_told_from_a_collector_that_takes_nothing_now(
    answers: tuple[Answers, CollectorSink], status: int, kind: type[SinkError]
) -> None:
    collector, sink = answers
    collector.status, collector.body = status, {"error": "no \x1b[31m"}
    with pytest.raises(kind) as raised:
        await sink.send(batch(1))
    assert type(raised.value) is kind
    assert "\x1b" not in str(raised.value)


async def test_what_was_not_acknowledged_is_not_taken_for_sent(answers: tuple[Answers, CollectorSink]) -> None:
    collector, sink = answers
    collector.body = {"seq": 1}
    with pytest.raises(SinkError, match="up to 1 only"):
        await sink.send(batch(3))


async def test_an_answer_that_tells_no_position_is_no_collectors(answers: tuple[Answers, CollectorSink]) -> None:
    collector, sink = answers
    collector.body = {}
    with pytest.raises(SinkError, match="answers 200, and is no collector"):
        await sink.send(batch(1))


async def test_what_keeps_it_from_a_collector_is_told_with_the_mend(answers: tuple[Answers, CollectorSink]) -> None:
    _, sink = answers
    with_tls = CollectorSink(CollectorShipper(url=sink._url.replace("http:", "https:"), timeout_seconds=5))
    with pytest.raises(SinkError, match="should its URL begin with http://"):
        await with_tls.open()
    await with_tls.close()
    nowhere = CollectorSink(CollectorShipper(url="http://127.0.0.1:1", timeout_seconds=5))
    with pytest.raises(SinkError, match="127.0.0.1:1: can't be reached: "):
        await nowhere.open()
    await nowhere.close()


async def test_an_answer_that_comes_in_pieces_is_read_whole(answers: tuple[Answers, CollectorSink]) -> None:
    collector, sink = answers
    collector.halves = True
    await sink.send(batch(4))


@pytest.mark.parametrize("wait", ["²", "9" * 5000, "-1", "soon"])
async def test_whatever_a_collector_says_to_wait_for_is_no_fault_of_the_shipper(
    answers: tuple[Answers, CollectorSink], wait: str
) -> None:
    collector, sink = answers
    collector.status, collector.body, collector.headers = 503, {"error": "busy"}, {"Retry-After": wait}
    with pytest.raises(SinkError, match="503: busy"):
        await sink.send(batch(1))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_takes_the_token_nowhere(answers: tuple[Answers, CollectorSink], status: int) -> None:
    collector, sink = answers
    collector.status, collector.headers = status, {"Location": sink._url + "/v1/elsewhere"}
    with pytest.raises(SinkError, match=str(status)):
        await sink.send(batch(1))
    assert len(collector.asked) == 1


async def test_an_answer_without_end_is_none(answers: tuple[Answers, CollectorSink]) -> None:
    collector, sink = answers
    collector.is_endless = True
    with pytest.raises(SinkError, match="is no collector"):
        await sink.send(batch(1))
    collector.is_endless = False
    collector.body = {"seq": 10**15}
    await sink.open()
    await sink.send(batch(1))
