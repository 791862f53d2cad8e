"""Shippers that don't fit together, or what they need is not there."""

import importlib.util
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hookgate.app.control import Handover
from hookgate.config import ConfigError, parse

KAFKA: dict[str, Any] = {"type": "kafka", "brokers": ["kafka:9092"], "topic": "hooks"}


def faults(*shippers: dict[str, Any], **audit: Any) -> list[str]:
    """Gives what is wrong with these shippers; nothing if they can be used."""
    try:
        parse({"pdp": {"address": "unix:/pdp.sock"}, "audit": {"shippers": list(shippers), **audit}}, {})
    except ConfigError as error:
        return error.faults
    return []


def test_a_shipper_is_called_by_its_name_or_else_by_its_type() -> None:
    config = parse(
        {"pdp": {"address": "unix:/p"}, "audit": {"shippers": [{"type": "stdout"}, {"type": "stdout", "name": "two"}]}},
        {},
    )
    assert [shipper.called for shipper in config.audit.shippers] == ["stdout", "two"]


def test_names_are_given_once() -> None:
    (found,) = faults({"type": "stdout"}, {"type": "sqlite", "name": "stdout"})
    assert found == "audit.shippers: the name 'stdout' is given twice: set another `name`"


def test_no_two_write_the_same_file(tmp_path: Path) -> None:
    shipper = {"type": "file", "path": str(tmp_path / "out")}
    (found,) = faults(shipper, {**shipper, "name": "more"})
    assert found == f"audit.shippers: two of them write {tmp_path / 'out'}"
    (found,) = faults({"type": "sqlite"}, {"type": "sqlite", "name": "more"}, directory="/audit")
    assert found == "audit.shippers: two of them write /audit/store.sqlite"


@pytest.mark.parametrize(
    ("shipper", "fault"),
    [
        ({"type": "http", "url": "http://c/", "ca": __file__}, "ca: has no effect without an https URL"),
        ({"type": "otlp", "url": "http://c/", "ca": __file__}, "ca: has no effect without an https URL"),
        ({"type": "http", "url": "https://c/", "ca": "/none.pem"}, "ca: no such file: /none.pem"),
        ({**KAFKA, "brokers": ["kafka"]}, "brokers[0]: expected host:port, got 'kafka'"),
        ({**KAFKA, "brokers": ["kafka:99999"]}, "brokers[0]: expected host:port, got 'kafka:99999'"),
        ({**KAFKA, "ca": __file__}, "ca: has no effect without tls: true"),
        ({**KAFKA, "username": "x"}, "username: and password go together"),
        ({"type": "file", "path": "/tmp"}, "path: /tmp is a directory: name a file in it"),
        (
            {"type": "file", "path": "/audit/segments/x"},
            "path: /audit/segments/x is in audit.directory, which is the journal's own",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else value["type"],
)
def test_settings_without_sense_are_faults(shipper: dict[str, Any], fault: str) -> None:
    assert f"audit.shippers[1].{fault}" in faults({"type": "stdout"}, shipper, directory="/audit")


PASSWORD = "s3cretpw"


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        *(("postgres", f"postgresql://u:{PASSWORD}@{rest}") for rest in ("[bad/db", "h:99999/db", "h:x/db", "h,/db")),
        ("postgres", f"postgresql://u:{PASSWORD}/more@h/db"),
        ("postgres", f"postgresql://u:{PASSWORD}@/db?host=/run&port=0"),
        *(
            (kind, f"https://u:{PASSWORD}@{rest}")
            for kind in ("http", "otlp")
            for rest in ("[bad/x", "h:99999/", "h:x/", "/x")
        ),
    ],
)
def test_a_url_that_cannot_be_read_is_a_fault_that_does_not_repeat_it(kind: str, url: str) -> None:
    (found,) = faults({"type": kind, "url": url})
    assert found.startswith("audit.shippers[0].url: ")
    assert PASSWORD not in found
    assert "HOST:PORT" in found


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("postgres", "postgresql:///db?host=/run/postgresql"),
        ("postgres", "postgres://u:p@a:5432,b,[::1]:5433/db?sslmode=verify-full"),
        ("postgres", "postgresql://u%40x:p%2F@%2Frun%2Fpostgresql:5432/db"),
        ("http", "http://[::1]:8080/x"),
        ("otlp", "https://collector/v1/logs"),
    ],
)
def test_a_url_that_can_be_read_is_none(kind: str, url: str) -> None:
    assert faults({"type": kind, "url": url}) == []


@pytest.mark.parametrize("broker", [f"u:{PASSWORD}@nohost:1", f"sasl://u:{PASSWORD}@kafka:9092"])
def test_a_broker_with_a_password_is_a_fault_that_does_not_repeat_it(broker: str) -> None:
    (found,) = faults({**KAFKA, "brokers": [broker]})
    assert found.startswith("audit.shippers[0].brokers[0]: expected host:port, and no @")
    assert PASSWORD not in found


@pytest.mark.parametrize(("kind", "module"), [("kafka", "aiokafka"), ("postgres", "asyncpg")])
def test_a_library_that_is_not_installed_is_named_with_its_extra(
    kind: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    shipper = KAFKA if kind == "kafka" else {"type": "postgres", "url": "postgresql://db/x"}
    fault = f"audit.shippers[0].type: {kind} needs the module {module}: pip install 'hookgate[{kind}]'"
    assert faults(shipper) == [fault]
    assert faults(shipper, supervise=False) == []


def test_files_are_not_looked_for_where_shippers_run_elsewhere() -> None:
    assert faults({"type": "http", "url": "https://c/", "ca": "/none.pem"}, supervise=False) == []


def test_every_kind_of_shipper_is_handed_to_the_shipping_process_as_it_is() -> None:
    config = parse(
        {
            "pdp": {"address": "unix:/p"},
            "audit": {
                "shippers": [
                    {"type": "stdout", "format": "ocsf"},
                    {"type": "file", "path": "/out"},
                    {"type": "sqlite", "retention_days": 3},
                    {"type": "postgres", "url": "postgresql://u:p@db/x"},
                    {"type": "otlp", "url": "http://c/v1/logs", "headers": {"A": "b"}},
                    {"type": "http", "url": "http://c/", "body": "splunk_hec"},
                    {**KAFKA, "username": "u", "password": "p"},
                ],
                "levels": [{"tools": ["Bash"], "level": "full"}],
            },
        },
        {},
    )
    handover = Handover(audit=config.audit, log=config.log)
    assert msgspec.json.decode(msgspec.json.encode(handover), type=Handover) == handover
    assert len(handover.audit.shippers) == 7
