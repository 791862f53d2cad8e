"""Sinks that post, before real listeners: nothing is lost whatever a collector does, and nothing comes twice where it knows
what a record is."""

import asyncio
import json
import logging
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
import trustme

from hookgate.audit.shipping.fleet import Fleet
from hookgate.audit.shipping.shipment import Shipment, Sink, SinkError, SinkRefusedError
from hookgate.audit.sinks.http import HttpSink
from hookgate.audit.sinks.otlp import OtlpSink
from hookgate.audit.sinks.post import BODY_BYTES
from hookgate.config.audit import Audit
from hookgate.config.shippers import HttpShipper, OtlpShipper
from tests.support.collectors import PUT_OFF, REFUSED, Collector, Trouble
from tests.support.couriers import delivered
from tests.support.laid import LaidJournal
from tests.support.shipments import INSTANCE, batch, decision, service, shipments
from tests.support.wait import free_port, until

TOKEN, USER, PASSWORD = "header-token-never-told", "name-in-the-url", "password-in-the-url-never-told"
PATHS = {"ndjson": "/ndjson", "array": "/array", "splunk_hec": "/hec", "elastic_bulk": "/_bulk", "otlp": "/v1/logs"}
#: Those that know a record which they have already.
WITH_IDENTITY = {"elastic_bulk"}

every_form = pytest.mark.parametrize("form", list(PATHS))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector that a test may freeze and kill, if it starts it again."""
    collector = Collector(tmp_path_factory.mktemp("collectors")).start()
    yield collector
    collector.kill()


@pytest.fixture
def collector(server: Collector) -> Collector:
    """The same, with nothing in it."""
    server.forget()
    return server


def sink_to(collector: Collector, form: str, *, user: str = "", **settings: Any) -> Sink:
    tree = {"url": collector.url(PATHS[form], user), "timeout_seconds": 10.0, **settings}
    if form == "otlp":
        return OtlpSink(msgspec.convert({"type": "otlp", **tree}, OtlpShipper))
    return HttpSink(msgspec.convert({"type": "http", "body": form, **tree}, HttpShipper))


async def shipped(sink: Sink, lines: list[Shipment], **options: Any) -> list[Shipment]:
    try:
        return await delivered(sink, lines, **options)
    finally:
        await sink.close()


async def fault_of(sink: Sink, lines: list[Shipment]) -> SinkError:
    try:
        await sink.open()
        with pytest.raises(SinkError) as caught:
            await sink.send(lines)
        return caught.value
    finally:
        await sink.close()


def ids(lines: list[Shipment]) -> list[str]:
    return [line.record["id"] for line in lines]


@every_form
@pytest.mark.parametrize("message", ["native", "ocsf"])
async def test_each_record_arrives_once_and_in_order(collector: Collector, form: str, message: str) -> None:
    lines = batch(25)
    assert await shipped(sink_to(collector, form, format=message), lines) == []
    assert [record["id"] for record in collector.records] == ids(lines)


async def test_what_arrives_is_the_line_itself_in_the_forms_that_leave_it_alone(collector: Collector) -> None:
    (line,) = batch(1, input={"command": "ls", "deep": {"a": [1, {"b": "\x00"}]}}, roles=("eng",))
    for form in ("ndjson", "array", "splunk_hec"):
        await shipped(sink_to(collector, form, gzip=form == "array"), [line])
    plain, array, event = [record["document"] for record in collector.records]
    assert plain == array == event["event"] == line.record
    assert (event["sourcetype"], event["fields"]["record_seq"]) == ("hookgate:audit", 1)


async def test_an_index_gets_no_field_whose_name_is_the_callers_choice(collector: Collector) -> None:
    given = {f"field-{number}": {"deeper": number} for number in range(2000)}
    (line,) = batch(1, input=given, roles=("eng", "ops"), answer={"a": [{}]})
    await shipped(sink_to(collector, "elastic_bulk", index="audit"), [line])
    document = collector.records[0]["document"]
    assert document.pop("_index") == "audit"
    assert document["@timestamp"] // 1000 == int(datetime.fromisoformat(document["time"]).timestamp())
    assert document["roles"] == ["eng", "ops"]
    assert json.loads(document["input"]) == given
    for name, value in document.items():
        assert isinstance(value, str | int | float) or all(isinstance(one, str) for one in value), name


async def test_log_records_say_who_what_and_how_bad_by_the_names_of_opentelemetry(collector: Collector) -> None:
    record = decision(3, outcome="deny", time="2026-11-22T21:05:33.839427Z", roles=("eng",), tool_use_id="toolu_1")
    lines = shipments([msgspec.json.encode(record), msgspec.json.encode(service("gap", records={}))])
    await shipped(sink_to(collector, "otlp"), lines)
    deny, gap = [found["document"] for found in collector.records]
    assert (deny["timeUnixNano"], deny["severityText"]) == ("1795381533839427000", "WARN")
    assert deny["severityNumber"] == "SEVERITY_NUMBER_WARN"
    assert (deny["eventName"], gap["eventName"]) == ("hookgate.decision", "hookgate.gap")
    assert gap["severityText"] == "ERROR"
    assert json.loads(deny["body"]["stringValue"]) == lines[0].record
    said = deny["attributes"]
    assert said["user.id"] == {"stringValue": "alex"}
    assert said["user.roles"] == {"arrayValue": {"values": [{"stringValue": "eng"}]}}
    assert said["gen_ai.tool.call.id"] == {"stringValue": "toolu_1"}
    assert said["hookgate.seq"] == {"intValue": "1"}
    resource = {one["key"]: one["value"]["stringValue"] for one in deny["resource"]["attributes"]}
    assert (resource["service.name"], resource["service.instance.id"]) == ("hookgate", INSTANCE)


@every_form
async def test_an_outage_loses_nothing_and_an_answer_that_is_no_success_takes_nothing(
    collector: Collector, form: str
) -> None:
    lines = batch(20)
    collector.meets(
        *(Trouble(status=status, body="not now") for status in (503, 429, 500, 502, 401, 404)),
        Trouble(cut=True),
        Trouble(status=307, location=collector.url("/ndjson")),
        Trouble(status=200, body="not what such a collector says") if form == "elastic_bulk" else Trouble(status=408),
    )
    assert await shipped(sink_to(collector, form), lines) == []
    assert collector.met
    assert [record["id"] for record in collector.records] == ids(lines)


@every_form
async def test_a_frozen_collector_and_one_that_starts_again_lose_nothing(collector: Collector, form: str) -> None:
    sink, lines = sink_to(collector, form), batch(20)
    assert await delivered(sink, lines[:10]) == []
    collector.freeze()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await sink.send(lines[10:])
    collector.kill()
    with pytest.raises(SinkError):
        await sink.send(lines[10:])
    collector.start()
    assert await shipped(sink, lines[10:]) == []
    assert collector.ids == dict.fromkeys(ids(lines), 1)


@every_form
async def test_what_was_taken_though_the_answer_was_lost_comes_again_and_is_known_by_its_id(
    collector: Collector, form: str
) -> None:
    lines = batch(5)
    collector.meets(Trouble(taken=True, cut=True), Trouble(taken=True, status=503))
    assert await shipped(sink_to(collector, form), lines) == []
    times = 1 if form in WITH_IDENTITY else 3
    assert collector.ids == dict.fromkeys(ids(lines), times)
    if form in ("ndjson", "array"):
        assert len({record["headers"]["Idempotency-Key"] for record in collector.records}) == 1


@pytest.mark.parametrize("form", ["elastic_bulk", "otlp"])
async def test_one_record_that_is_refused_stops_no_other(collector: Collector, form: str) -> None:
    lines = shipments([msgspec.json.encode(decision(n, reason=REFUSED if n == 13 else "")) for n in range(40)])
    refused = await shipped(sink_to(collector, form), lines)
    assert ids(refused) == [lines[13].record["id"]]
    assert set(collector.ids) == set(ids(lines)) - set(ids(refused))
    if form in WITH_IDENTITY:
        assert set(collector.ids.values()) == {1}


async def test_what_an_index_puts_off_is_sent_again_alone(collector: Collector) -> None:
    lines = shipments([msgspec.json.encode(decision(n, reason=PUT_OFF if n in (3, 4) else "")) for n in range(10)])
    sink = sink_to(collector, "elastic_bulk")
    await sink.open()
    with pytest.raises(SinkError, match="did not take 2 of 10 records: 429: es_rejected_execution_exception") as caught:
        await sink.send(lines)
    assert not isinstance(caught.value, SinkRefusedError)
    assert await shipped(sink, lines) == []
    assert [record["id"] for record in collector.records][8:] == ids(lines[3:5])


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("form", ["ndjson", "splunk_hec", "otlp", "elastic_bulk"])
async def test_content_at_fault_is_refused_for_good(collector: Collector, form: str, status: int) -> None:
    collector.meets(Trouble(status=status, body='{"text": "Invalid data format", "code": 6}'))
    fault = await fault_of(sink_to(collector, form), batch(1))
    assert isinstance(fault, SinkRefusedError)
    assert f"answers {status}: " in str(fault)


@pytest.mark.parametrize(("code", "refused"), [(6, True), (12, True), (7, False), (10, False), (9, False)])
async def test_splunk_tells_by_a_code_whether_an_event_is_at_fault_or_what_is_configured(
    collector: Collector, code: int, refused: bool
) -> None:
    for status in (400, 200):
        collector.meets(Trouble(status=status, body=json.dumps({"text": "Incorrect index", "code": code})))
        fault = await fault_of(sink_to(collector, "splunk_hec"), batch(1))
        assert isinstance(fault, SinkRefusedError) is refused


@every_form
async def test_what_is_configured_in_secret_is_in_no_error_and_no_log(
    collector: Collector, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets: dict[str, Any] = {"headers": {"X-Api-Key": f"Bearer {TOKEN}"}, "user": f"{USER}:{PASSWORD}"}
    said = []
    for status in (400, 401, 403, 404, 500, 302, 200):
        # A server that repeats what it was sent, as error pages do.
        collector.meets(Trouble(status=status, body='{"code": 9, "text": {headers}', location="/" + TOKEN))
        sink = sink_to(collector, form, **secrets)
        await sink.open()
        try:
            await sink.send(batch(1))
        except SinkError as fault:
            said.append(str(fault))
        await sink.close()
    assert len(said) >= 6
    collector.kill()
    said.append(str(await fault_of(sink_to(collector, form, **secrets), batch(1))))
    collector.start()
    broken = {**secrets, "headers": {"X-Api-Key": TOKEN + "\r\nX-Other: 1"}}
    said.append(str(await fault_of(sink_to(collector, form, **broken), batch(1))))
    assert "look for a line end" in said[-1]
    for text in [*said, caplog.text]:
        for secret in (TOKEN, PASSWORD):
            assert secret not in text
    assert all("127.0.0.1" in text for text in said)


async def test_a_large_batch_goes_in_pieces_and_those_that_arrived_do_not_go_again(collector: Collector) -> None:
    lines = shipments([msgspec.json.encode(decision(n, reason="x" * 1_000_000)) for n in range(9)])
    assert BODY_BYTES < sum(len(line.line) for line in lines) < 3 * BODY_BYTES
    sink = sink_to(collector, "ndjson")
    assert await delivered(sink, lines) == []
    assert len({record["headers"]["Idempotency-Key"] for record in collector.records}) == 3
    assert collector.ids == dict.fromkeys(ids(lines), 1)
    collector.forget()
    collector.meets(Trouble(taken=True, status=200), Trouble(status=503), Trouble(cut=True))
    assert await shipped(sink, lines) == []
    assert [record["id"] for record in collector.records] == ids(lines)


@every_form
async def test_whatever_stands_in_a_record_arrives_as_it_is(collector: Collector, form: str) -> None:
    deep: Any = "\x00"
    for _ in range(90):
        deep = {"": [deep]}
    strange = {"nul": "a\x00b", "last": "\u2028\U0001f600\ufffd", "deep": deep, "name\x00": 1, "\n": "\r\n}\n{"}
    lines = shipments([msgspec.json.encode(decision(0, input=strange, user="a\x00b", cwd="\x1b[31m" * 999))])
    assert await shipped(sink_to(collector, form, format="native"), lines) == []
    document = collector.records[0]["document"]
    found = {
        "elastic_bulk": lambda: json.loads(document["input"]),
        "otlp": lambda: json.loads(document["body"]["stringValue"])["input"],
        "splunk_hec": lambda: document["event"]["input"],
    }.get(form, lambda: document["input"])()
    assert found == strange


@pytest.mark.parametrize("body", ["", "x" * 100, "[" * 100_000, '{"items": 5}', '{"partialSuccess": []}', "\udcff"])
@every_form
async def test_an_answer_of_whatever_form_is_no_crash(collector: Collector, form: str, body: str) -> None:
    collector.meets(Trouble(body=body.encode("utf-8", "replace").decode()))
    sink = sink_to(collector, form)
    await sink.open()
    try:
        await sink.send(batch(2))
    except SinkError:
        assert form == "elastic_bulk"
    await sink.close()


async def test_a_redirect_is_not_followed(collector: Collector) -> None:
    collector.meets(Trouble(status=308, location=collector.url("/array")))
    fault = await fault_of(sink_to(collector, "ndjson"), batch(1))
    assert "redirects are not followed" in str(fault)
    assert collector.records == []


async def test_the_environments_proxy_is_not_used(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert await shipped(sink_to(collector, "ndjson"), batch(1)) == []


async def test_whom_a_sink_trusts_is_what_its_file_says(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = tmp_path / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    collector = Collector(tmp_path, certificate).start()
    try:
        assert await shipped(sink_to(collector, "ndjson", ca=str(tmp_path / "ca.pem")), batch(1)) == []
        fault = await fault_of(sink_to(collector, "ndjson"), batch(1))
        assert "TLS: " in str(fault)
        assert len(collector.records) == 1
    finally:
        collector.kill()
    (tmp_path / "broken.pem").write_text("no certificate")
    for name, why in (("missing.pem", "No such file"), ("broken.pem", "no PEM file")):
        with pytest.raises(SinkError, match=f"ca: .*{name}: {why}"):
            await sink_to(collector, "otlp", ca=str(tmp_path / name)).open()


async def test_shippers_of_one_journal_bring_all_of_it_through_freezing_killing_and_starting_again(
    collector: Collector, tmp_path: Path
) -> None:
    journal = LaidJournal(tmp_path)
    journal.fill(400)
    forms = {"ndjson": "/ndjson", "elastic_bulk": "/index/_bulk", "splunk_hec": "/hec"}
    common = {"batch_records": 20, "timeout_seconds": 0.5}
    tree = [
        {"type": "http", "name": form, "body": form, "url": collector.url(path), **common}
        for form, path in forms.items()
    ]
    tree.append({"type": "otlp", "url": collector.url("/v1/logs"), **common})
    audit = msgspec.convert({"directory": str(tmp_path), "shippers": tree}, Audit)
    fleet = Fleet(audit, structlog.get_logger(), patience_seconds=60)
    fleet.open()
    shipping = asyncio.create_task(fleet.run())
    await asyncio.to_thread(until, lambda: len(collector.records) > 100, what="the first records")
    collector.freeze()
    journal.fill(100)
    async with asyncio.timeout(30):
        while not all("no answer" in one.error for one in (await fleet.status()).shippers):  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0.02)
    collector.thaw()
    await asyncio.to_thread(until, lambda: len(collector.records) > 500, what="more records")
    collector.kill()
    journal.fill(100)
    collector.start()
    fleet.end(is_closed=True)
    async with asyncio.timeout(60):
        await shipping
    fleet.close()
    expected = {json.loads(line)["id"] for line in journal.lines}
    for path in (*forms.values(), "/v1/logs"):
        assert {record["id"] for record in collector.records if record["path"] == path} == expected
    bulk = [record["id"] for record in collector.records if record["path"] == forms["elastic_bulk"]]
    assert len(bulk) == len(expected)


@pytest.mark.parametrize("address", ["http://[", "http://a:99999/", "https:///path", "http://"])
async def test_an_address_that_is_none_is_told(address: str) -> None:
    sink = HttpSink(msgspec.convert({"type": "http", "url": address}, HttpShipper))
    with pytest.raises(SinkError, match="`url` is no address"):
        await sink.open()
