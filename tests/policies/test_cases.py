"""What is made from code is as the code has it."""

import json
import time

import msgspec
import pytest

from hookgate.facts import Facts
from tests.policies.cases import POLICIES, written

SCHEMA = POLICIES / "_schemas" / "facts.json"


def test_the_tests_of_the_policies_have_the_facts_that_the_service_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    # Commands are read within some milliseconds of processor time, which a collection of garbage can take here.
    monkeypatch.setattr(time, "thread_time", lambda: 0.0)
    stale = [path.name for path, text in written() if path.read_text() != text]
    assert not stale, "run `python -m tests.policies.cases --write`"


def test_the_schema_of_the_facts_is_that_of_the_types() -> None:
    assert json.loads(SCHEMA.read_text()) == json.loads(msgspec.json.encode(msgspec.json.schema(Facts))), (
        "run `python -m tests.policies.cases --write`"
    )
