"""The sink kafka, before a real broker: nothing is lost and nothing comes twice while it is frozen, killed and started again."""

import asyncio
import json
import logging
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from hookgate.audit.shipping.shipment import Shipment, SinkError, SinkRefusedError
from hookgate.audit.sinks.kafka import MESSAGE_BYTES, KafkaSink
from hookgate.config.shippers import KafkaShipper
from tests.support import kafka
from tests.support.chains import Machine
from tests.support.collecting import CollectProcess, send
from tests.support.couriers import delivered
from tests.support.shipments import INSTANCE, batch, decision, service, shipments
from tests.support.wait import free_port, until

PARTITIONS = 2


@pytest.fixture(scope="module")
def broker() -> Iterator[kafka.Kafka]:
    """A broker that a test may freeze and kill, if it starts it again."""
    try:
        running = kafka.running()
    except kafka.NoKafkaError as fault:
        message = f"{fault}: the tests with a real Kafka broker are left out"
        pytest.fail(message) if os.environ.get("HOOKGATE_REQUIRE") == "all" else pytest.skip(message)
    yield running
    running.remove()


@pytest.fixture
async def topic(broker: kafka.Kafka) -> str:
    """A topic of the test's own."""
    return await made_topic(broker)


async def made_topic(broker: kafka.Kafka, **settings: str) -> str:
    name = f"audit-{uuid.uuid4().hex[:12]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs=settings)])
    finally:
        await admin.close()
    return name


def sink_to(broker: kafka.Kafka, topic: str, **settings: Any) -> KafkaSink:
    tree = {"type": "kafka", "brokers": [broker.address], "topic": topic, "timeout_seconds": 5.0, **settings}
    return KafkaSink(msgspec.convert(tree, KafkaShipper))


async def messages(broker: kafka.Kafka, topic: str) -> list[ConsumerRecord]:
    """Gives all that a topic holds, partition by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.address, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        found = []
        for partition in partitions:
            while await consumer.position(partition) < ends[partition]:
                found += (await consumer.getmany(partition, timeout_ms=1000)).get(partition, [])
        return found
    finally:
        await consumer.stop()


async def ids(broker: kafka.Kafka, topic: str) -> list[str]:
    return sorted(dict(message.headers)["id"].decode() for message in await messages(broker, topic))


def expected(lines: list[Shipment]) -> list[str]:
    return sorted(line.record["id"] for line in lines)


async def fault_of(sink: KafkaSink) -> str:
    with pytest.raises(SinkError) as caught:
        await sink.open()
    await sink.close()
    return str(caught.value)


async def test_each_record_is_one_message_with_its_sessions_key_and_in_its_sessions_order(
    broker: kafka.Kafka, topic: str
) -> None:
    lines = batch(30) + shipments([msgspec.json.encode(service("start"))])
    sink = sink_to(broker, topic)
    assert await delivered(sink, lines[:10]) == await delivered(sink, lines[10:]) == []
    await sink.close()
    found = await messages(broker, topic)
    assert {message.value for message in found} == {line.line for line in lines}
    for session in ("s-0", "s-1", "s-2"):
        of_session = [message for message in found if message.key == session.encode()]
        assert [json.loads(message.value)["seq"] for message in of_session] == sorted(
            line.seq for line in lines if line.record.get("session_id") == session
        )
        assert len({message.partition for message in of_session}) == 1
    (started,) = [message for message in found if message.key == INSTANCE.encode()]
    assert dict(started.headers)["type"] == b"start"
    assert dict(started.headers)["instance"] == INSTANCE.encode()


async def test_a_message_may_be_an_ocsf_event(broker: kafka.Kafka, topic: str) -> None:
    sink = sink_to(broker, topic, format="ocsf")
    await delivered(sink, batch(1))
    await sink.close()
    assert json.loads((await messages(broker, topic))[0].value)["class_uid"] == 6003


async def test_a_frozen_broker_is_waited_for_and_gets_each_record_once(broker: kafka.Kafka, topic: str) -> None:
    # More than the library sends at once, and requests that it gives up and repeats meanwhile.
    sink, lines = sink_to(broker, topic, timeout_seconds=0.3), batch(100)
    await delivered(sink, lines[:20])
    broker.freeze()
    try:
        for patience in (0.1, 1.0, 0.5):
            with pytest.raises((TimeoutError, SinkError)):
                await asyncio.wait_for(sink.send(lines[20:]), patience)
    finally:
        broker.thaw()
    assert await delivered(sink, lines[20:]) == []
    await sink.close()
    assert await ids(broker, topic) == expected(lines)


async def test_a_broker_that_is_killed_in_the_middle_and_starts_again_has_each_record_once(
    broker: kafka.Kafka, topic: str
) -> None:
    sink, lines = sink_to(broker, topic), batch(600)

    amid = asyncio.Event()

    async def ship() -> None:
        for begin in range(0, len(lines), 20):
            if begin == 200:
                amid.set()
            assert await delivered(sink, lines[begin : begin + 20], tries=600, seconds=0.5) == []

    shipping = asyncio.create_task(ship())
    await amid.wait()
    broker.kill()
    assert not shipping.done()
    broker.start()
    await asyncio.to_thread(until, broker.accepts, seconds=60, what="Kafka to come back")
    await shipping
    await sink.close()
    assert await ids(broker, topic) == expected(lines)


async def test_one_record_that_is_too_large_stops_no_other_and_no_other_comes_twice(
    broker: kafka.Kafka, topic: str
) -> None:
    long = {7: "x" * (MESSAGE_BYTES + 1), 8: "x" * (MESSAGE_BYTES - 2000)}
    lines = shipments([msgspec.json.encode(decision(n, reason=long.get(n, ""))) for n in range(20)])
    sink = sink_to(broker, topic)
    refused = await delivered(sink, lines)
    await sink.close()
    assert refused == [lines[7]]
    assert await ids(broker, topic) == expected([line for line in lines if line is not lines[7]])


async def test_nor_does_one_that_only_the_broker_finds_too_large(broker: kafka.Kafka) -> None:
    topic = await made_topic(broker, **{"max.message.bytes": "20000"})
    lines = shipments([msgspec.json.encode(decision(n, reason="x" * 30_000 if n == 7 else "")) for n in range(20)])
    sink = sink_to(broker, topic)
    await sink.open()
    with pytest.raises(SinkRefusedError, match="max.message.bytes"):
        await sink.send(lines)
    refused = await delivered(sink, lines)
    await sink.close()
    assert refused == [lines[7]]
    assert await ids(broker, topic) == expected([line for line in lines if line is not lines[7]])


async def test_over_tls_and_with_a_password_too(broker: kafka.Kafka, topic: str) -> None:
    login = {"brokers": [broker.secured], "tls": True, "ca": str(broker.ca), "username": kafka.USER}
    sink = sink_to(broker, topic, **login, password=kafka.PASSWORD)
    assert await delivered(sink, batch(3)) == []
    await sink.close()
    assert len(await ids(broker, topic)) == 3


async def test_what_is_wrong_is_told_without_the_password(
    broker: kafka.Kafka, topic: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    login = {"brokers": [broker.secured], "tls": True, "ca": str(broker.ca), "username": kafka.USER}
    wrong = "wrong-password-never-told"
    said = {
        "SaslAuthenticationFailed": await fault_of(sink_to(broker, topic, **login, password=wrong)),
        "certificate verify failed": await fault_of(
            sink_to(broker, topic, **{**login, "ca": None}, password=kafka.PASSWORD)
        ),
        "has no topic none: create it": await fault_of(sink_to(broker, "none", timeout_seconds=0.5)),
        "can't be reached": await fault_of(sink_to(broker, topic, brokers=[f"127.0.0.1:{free_port()}"])),
    }
    for words, text in said.items():
        assert words in text
        assert "127.0.0.1" in text
    told = " ".join(said.values()) + caplog.text + "".join(capfd.readouterr())
    assert wrong not in told
    assert kafka.PASSWORD not in told


async def test_it_ends_in_time_while_the_broker_is_frozen_and_leaves_nothing_running(
    broker: kafka.Kafka, topic: str
) -> None:
    before = asyncio.all_tasks()
    sink = sink_to(broker, topic)
    await delivered(sink, batch(1))
    broker.freeze()
    try:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sink.send(batch(5, first=1)), 0.1)
        await asyncio.wait_for(sink.close(), 8)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sink_to(broker, topic).open(), 0.1)
    finally:
        broker.thaw()
    left = asyncio.all_tasks() - before
    assert not left or not (await asyncio.wait(left, timeout=5))[1]


async def test_a_fleets_collector_forwards_what_comes_to_it(broker: kafka.Kafka, topic: str, tmp_path: Path) -> None:
    forward = [{"type": "kafka", "brokers": [broker.address], "topic": topic}]
    collector, machine = CollectProcess(tmp_path, forward=forward).start(), Machine()
    try:
        token = await asyncio.to_thread(collector.enrolled, machine, "alex")
        machine.decide(30)
        machine.sign()
        assert send(collector.url, token, machine.lines)[0] == 200
        wanted = expected(machine.shipments)
        found: list[str] = []
        async with asyncio.timeout(30):
            while not set(wanted) <= set(found):
                found = await ids(broker, topic)
        assert [one for one in found if one in set(wanted)] == wanted
        keys = {message.key for message in await messages(broker, topic)}
        assert {one.record["session_id"].encode() for one in machine.shipments if "session_id" in one.record} <= keys
    finally:
        collector.kill()
