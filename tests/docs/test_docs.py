"""The documentation says what the code does: its tables are the code's, and nothing that one can meet is missing."""

from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hookgate.audit import schema
from hookgate.audit.reconcile import Violation
from hookgate.audit.record import Record, ServiceRecord
from hookgate.audit.report.model import Access, Report
from hookgate.errors import ErrorKind
from hookgate.facts.model import Facts, PathFact
from hookgate.hooks.catalog import EVENTS
from hookgate.telemetry.metrics import Metrics
from hookgate.whatif.asked_again import Why
from hookgate.whatif.bound import NAMES
from hookgate.whatif.change import Change
from tests.docs import code, tables, words

DOCS = tables.ROOT / "docs"
SETTINGS = list(tables.settings())


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda path: path.name)
def test_a_pages_tables_are_those_that_the_code_gives(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == tables.renewed(text), "out of date: python -m tests.docs.tables --write"


def test_the_schema_of_records_is_the_one_that_the_code_gives_and_knows_every_type() -> None:
    text = tables.RECORD_SCHEMA.read_text(encoding="utf-8")
    assert text == tables.record_schema_text(), "out of date: python -m tests.docs.tables --write"
    assert set(schema.DETAILS) == set(words.SERVICE_RECORDS)
    for kind, fields in code.service_records().items():
        for name in Violation if kind == "violation.value" else (kind,):
            if name != Violation.UNASKED or kind != "violation.value":
                assert list(schema.DETAILS[name]) == fields, name


def test_every_table_stands_on_one_page() -> None:
    texts = [page.read_text(encoding="utf-8") for page in tables.PAGES]
    assert {name: sum(f"<!-- begin: {name} -->" in text for text in texts) for name in tables.MADE} == dict.fromkeys(
        tables.MADE, 1
    )


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("configuration.md", [one.path for one in SETTINGS]),
        ("configuration.md", [one.variable for one in SETTINGS if not one.listed]),
        ("failure.md", [kind.value for kind in ErrorKind]),
        ("events.md", list(EVENTS)),
        ("events.md", [f"R.attr.facts.{field.name}" for field in msgspec.structs.fields(Facts)]),
        ("events.md", [f"R.attr.facts.paths[].{field.name}" for field in msgspec.structs.fields(PathFact)]),
        ("whatif.md", [*Why, *Change, *NAMES]),
        ("audit.md", [field.name for field in msgspec.structs.fields(Record)]),
        ("audit.md", [field.name for field in msgspec.structs.fields(ServiceRecord)]),
        ("audit.md", list(words.SERVICE_RECORDS)),
        ("metrics.md", [metric.name for metric in text_string_to_metric_families(Metrics().exposition().decode())]),
        ("metrics.md", sorted(code.log_events())),
        ("report.md", [field.name for field in msgspec.structs.fields(Report)]),
        ("report.md", [field.name for field in msgspec.structs.fields(Access)]),
    ],
)
def test_every_name_that_one_can_meet_is_on_its_page(page: str, names: list[str]) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    assert names
    assert [name for name in names if f"`{name}`" not in text and f"`{name}_total`" not in text] == []


def test_every_command_and_option_is_on_the_page_of_commands() -> None:
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert "hookgate serve" in tables.commands()
    for name, command in tables.commands().items():
        section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert section, name
        assert [opt for param in command.params for opt in param.opts if f"`{opt}`" not in section.lower()] == [], name


def test_every_setting_record_field_and_fact_is_explained() -> None:
    assert [one.path for one in SETTINGS if not one.description] == []
    for module, kind in (("audit/record.py", Record), ("facts/model.py", Facts), ("facts/model.py", PathFact)):
        assert [name for name, text in code.field_comments(module, kind.__name__).items() if not text] == []


def test_words_are_said_for_all_that_the_code_knows_and_for_nothing_else() -> None:
    violations = {violation.value for violation in Violation}
    assert set(words.MENDS) == set(ErrorKind)
    assert set(words.EFFECTS) == set(EVENTS)
    assert set(words.WHYS) == code.reasons_to_drop()
    assert set(words.LOG_EVENTS) == set(code.log_events()) | violations
    assert set(words.SERVICE_RECORDS) == (set(code.service_records()) - {"violation.value"}) | violations
    assert [kind for kind in words.SERVICE_RECORDS if f"`{kind}`" not in (ServiceRecord.__doc__ or "")] == []


def test_the_page_on_architecture_names_every_room() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    rooms = [path for path in code.SOURCE.iterdir() if not path.name.startswith("_") and path.suffix in ("", ".py")]
    assert missing(text, (f"`{room.name}{'' if room.suffix else '/'}`" for room in rooms)) == []


def missing(text: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name not in text]
