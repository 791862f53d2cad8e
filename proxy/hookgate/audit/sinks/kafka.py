"""Messages in a Kafka topic, each with its session for a key, so that a session's records stay in order."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NodeNotReadyError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from aiokafka.structs import RecordMetadata

from hookgate.audit.formats import encoded
from hookgate.audit.formats.content import content, identity, text
from hookgate.audit.shipping.shipment import Shipment, SinkError, SinkRefusedError
from hookgate.audit.sinks.tls import context
from hookgate.config.shippers import KafkaShipper
from hookgate.harmless import harmless

#: Brokers take a megabyte, with what is around the message.
MESSAGE_BYTES = 1_000_000
#: How much of the time for a batch the brokers are asked about the topic.
_ASKING = 0.5
#: With these the producer goes on.
_PASSING = (
    KafkaTimeoutError,
    KafkaConnectionError,
    NodeNotReadyError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
#: How long a producer may take to end.
_END_SECONDS = 1.0


class KafkaSink:
    """Sends a batch with an idempotent producer.

    The producer goes on by itself where `send` is given up: it repeats what the brokers don't confirm until they do, under the
    number that it had, so that they keep it once. A line that comes again meanwhile is therefore not sent again but waited for.
    """

    def __init__(self, config: KafkaShipper) -> None:
        self._config = config
        self._producer: AIOKafkaProducer | None = None
        #: Lines of a batch that isn't through, by hash: under way, or confirmed.
        self._under_way: dict[str, asyncio.Future[RecordMetadata]] = {}
        self._place = f"Kafka ({', '.join(config.brokers[:3])})"

    async def open(self) -> None:
        """Connects and looks for the topic. Raises SinkError."""
        if self._producer is not None:
            return
        producer = self._made()
        heard = _Heard()
        try:
            with heard.listening():
                await producer.start()
            await self._find_topic(producer)
        except BaseException as fault:
            await _ended(producer)
            if isinstance(fault, KafkaError | OSError):
                raise self._failure(fault, heard.reason(self._config.brokers)) from None
            raise
        self._producer = producer

    async def send(self, batch: Sequence[Shipment]) -> None:
        """Sends a batch. Raises SinkError or SinkRefusedError, see Sink."""
        producer = self._producer
        if producer is None:
            raise SinkError(f"{self._place} is not connected")
        messages = await asyncio.to_thread(self._messages, batch)
        try:
            for shipment, message in zip(batch, messages, strict=True):
                if shipment.hash not in self._under_way:
                    key, headers = _key(shipment), _headers(shipment)
                    under_way = await producer.send(self._config.topic, message, key=key, headers=headers)
                    under_way.add_done_callback(_retrieved)
                    self._under_way[shipment.hash] = under_way
            # Not cancelled with this: see above.
            await asyncio.wait([self._under_way[shipment.hash] for shipment in batch])
        except _PASSING as fault:
            raise self._failure(fault) from None
        except (KafkaError, OSError) as fault:
            await self._begin_anew()
            raise self._failure(fault) from None
        await self._judge(batch)

    async def close(self) -> None:
        """Ends the producer, which may still deliver what is under way."""
        producer, self._producer = self._producer, None
        self._under_way.clear()
        if producer is not None:
            await _ended(producer)

    def _messages(self, batch: Sequence[Shipment]) -> list[bytes]:
        messages = [encoded(shipment, self._config.format) for shipment in batch]
        for shipment, message in zip(batch, messages, strict=True):
            # Before any is sent: nothing then comes twice while the one at fault is looked for.
            if len(message) > MESSAGE_BYTES:
                raise SinkRefusedError(f"line {shipment.seq} has {len(message)} bytes, and Kafka takes {MESSAGE_BYTES}")
        return messages

    async def _judge(self, batch: Sequence[Shipment]) -> None:
        faults = [fault for shipment in batch if (fault := self._under_way[shipment.hash].exception())]
        if not faults:
            for shipment in batch:
                self._under_way.pop(shipment.hash, None)
            return
        await self._begin_anew()
        # What was sent behind a message that is refused fails with it, for want of its number.
        raise self._failure(next((one for one in faults if _is_refusal(one)), faults[0]))

    async def _begin_anew(self) -> None:
        """A producer whose message failed has lost count of its messages: its next ones would be refused. What was confirmed
        stays known."""
        producer, self._producer = self._producer, None
        self._under_way = {line: under_way for line, under_way in self._under_way.items() if _is_confirmed(under_way)}
        if producer is not None:
            await _ended(producer)

    def _made(self) -> AIOKafkaProducer:
        config = self._config
        milliseconds = max(1, round(config.timeout_seconds * 1000))
        secured = "SSL" if config.tls else "PLAINTEXT"
        return AIOKafkaProducer(
            bootstrap_servers=list(config.brokers),
            client_id="hookgate",
            enable_idempotence=True,
            acks="all",
            request_timeout_ms=milliseconds,
            max_request_size=MESSAGE_BYTES + 64 * 1024,
            security_protocol=f"SASL_{secured}" if config.username else secured,
            ssl_context=context(config.ca) if config.tls else None,
            sasl_mechanism=config.mechanism,
            sasl_plain_username=config.username or None,
            sasl_plain_password=config.password or None,
        )

    async def _find_topic(self, producer: AIOKafkaProducer) -> None:
        try:
            async with asyncio.timeout(self._config.timeout_seconds * _ASKING):
                await producer.partitions_for(self._config.topic)
        except (TimeoutError, UnknownTopicOrPartitionError):
            raise SinkError(f"{self._place} has no topic {self._config.topic}: create it, or mend `topic`") from None

    def _failure(self, fault: BaseException, reason: str = "") -> SinkError:
        kind = type(fault).__name__
        if _is_refusal(fault):
            return SinkRefusedError(f"{self._place} takes no message of that size: raise the topic's max.message.bytes")
        if isinstance(fault, TopicAuthorizationFailedError):
            return SinkError(
                f"{self._place}: {self._config.username or 'anyone'} may not write to {self._config.topic}"
            )
        if isinstance(fault, KafkaTimeoutError):
            return SinkError(f"{self._place} confirmed nothing within {self._config.timeout_seconds:g} s")
        if isinstance(fault, KafkaConnectionError | OSError):
            said = reason.replace(self._config.password, "***") if self._config.password else reason
            return SinkError(f"{self._place} can't be reached: {harmless(said, 200) or kind}")
        return SinkError(f"{self._place}: {kind}")


class _Heard(logging.Handler):
    """Why a broker can't be reached: the library says that in its log only, and several times a second."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._said: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps what was said about a connection: `Unable connect to "%s:%s": %s`."""
        if isinstance(record.args, tuple) and len(record.args) == 3:
            host, port, reason = record.args
            self._said.append((f"{host}:{port}", str(reason)))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hears what the library logs; nothing of that goes anywhere else, then or later."""
        logger = logging.getLogger("aiokafka")
        logger.propagate = False
        if not logger.handlers:
            # Without any, Python prints to standard error.
            logger.addHandler(logging.NullHandler())
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)

    def reason(self, brokers: Sequence[str]) -> str:
        """Gives what was said last about one of these brokers; there may be other sinks."""
        return next((reason for broker, reason in reversed(self._said) if broker in brokers), "")


def _key(shipment: Shipment) -> bytes | None:
    """A record about the service has no session: those of one Hookgate stay together."""
    return (text(content(shipment), "session_id") or shipment.instance).encode()


def _headers(shipment: Shipment) -> list[tuple[str, bytes]]:
    said = {"id": identity(shipment), "seq": str(shipment.seq), "instance": shipment.instance}
    said["type"] = text(content(shipment), "type")
    return [(name, value.encode()) for name, value in said.items()]


def _is_refusal(fault: BaseException) -> bool:
    return isinstance(fault, MessageSizeTooLargeError)


def _is_confirmed(under_way: asyncio.Future[RecordMetadata]) -> bool:
    return under_way.done() and not under_way.cancelled() and under_way.exception() is None


def _retrieved(under_way: asyncio.Future[RecordMetadata]) -> None:
    """Nobody may wait for it any more, which asyncio would complain of."""
    if not under_way.cancelled():
        under_way.exception()


async def _ended(producer: AIOKafkaProducer) -> None:
    """Ends a producer, also one that waits for brokers that are away: by itself it would wait as long as they are."""
    try:
        async with asyncio.timeout(_END_SECONDS):
            await producer.stop()
    except TimeoutError:
        await producer.client.close()
        # The library has no other way to give up what it promised to repeat.
        producer._message_accumulator.fail_all(KafkaConnectionError())  # noqa: SLF001
        sender = producer._sender.sender_task  # noqa: SLF001
        for _ in range(100):
            if sender is None or sender.done():
                break
            # First it waits for its requests; cancelled again, it cancels them.
            sender.cancel()
            await asyncio.sleep(0)
