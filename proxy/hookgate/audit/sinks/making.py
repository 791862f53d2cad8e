"""A sink for each kind of shipper. Its module, and with it the library that it needs, is imported only where it is used."""

from pathlib import Path

from hookgate.audit.shipping.shipment import Sink, SinkError
from hookgate.audit.sinks.late import LateSink
from hookgate.config.shippers import (
    AnyShipper,
    CollectorShipper,
    FileShipper,
    HttpShipper,
    KafkaShipper,
    OtlpShipper,
    PostgresShipper,
    SqliteShipper,
    StdoutShipper,
)

STORE_NAME = "store.sqlite"


def sink_for(shipper: AnyShipper, directory: Path) -> Sink:
    """Gives the sink that a shipper of this journal delivers to. What is wrong with it is not known before it is opened: its
    `open` then fails, and tries again to make it."""
    try:
        return _made(shipper, directory)
    except Exception:  # noqa: BLE001 (whatever it is, it concerns this sink alone, which tells it when it is opened)
        return LateSink(lambda: _made_or_said(shipper, directory))


def store_path(shipper: SqliteShipper, directory: Path) -> Path:
    """Gives where a shipper's store is."""
    return Path(shipper.path) if shipper.path else directory / STORE_NAME


def _made_or_said(shipper: AnyShipper, directory: Path) -> Sink:
    try:
        return _made(shipper, directory)
    except ModuleNotFoundError as error:
        kind = str(shipper.__struct_config__.tag)
        raise SinkError(
            f"the module {error.name} is missing: pip install 'hookgate[{kind}]', or take {shipper.called} out"
        ) from None
    except Exception as error:  # noqa: BLE001 (its text may repeat a URL with a password)
        raise SinkError(f"can't be made of its settings in audit.shippers ({type(error).__name__})") from None


def _made(shipper: AnyShipper, directory: Path) -> Sink:
    match shipper:
        case SqliteShipper():
            from hookgate.audit.sinks.sqlite import SqliteSink

            return SqliteSink(store_path(shipper, directory), retention_days=shipper.retention_days)
        case PostgresShipper():
            from hookgate.audit.sinks.postgres import PostgresSink

            return PostgresSink(shipper)
        case StdoutShipper():
            from hookgate.audit.sinks.stdout import StdoutSink

            return StdoutSink(shipper)
        case FileShipper():
            from hookgate.audit.sinks.file import FileSink

            return FileSink(shipper)
        case OtlpShipper():
            from hookgate.audit.sinks.otlp import OtlpSink

            return OtlpSink(shipper)
        case KafkaShipper():
            from hookgate.audit.sinks.kafka import KafkaSink

            return KafkaSink(shipper)
        case HttpShipper():
            from hookgate.audit.sinks.http import HttpSink

            return HttpSink(shipper)
        case CollectorShipper():
            from hookgate.audit.sinks.collector import CollectorSink

            return CollectorSink(shipper)
