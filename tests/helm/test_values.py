"""values.yaml, its schema and its table say the same, and the schema refuses what is not in them."""

import json
import tomllib
from typing import Any

import jsonschema
import pytest
import yaml

import hookgate
from hookgate.binaries import CERBOS_VERSION
from hookgate.config.tree import Config
from tests.docs.tables import ROOT
from tests.helm import values as made
from tests.helm.chart import CI, Chart, RefusedError

SCHEMA = json.loads(made.SCHEMA.read_text(encoding="utf-8"))
DEFAULTS = yaml.safe_load(made.VALUES.read_text(encoding="utf-8"))


def test_the_schema_and_the_readme_are_made_of_the_values() -> None:
    assert made.SCHEMA.read_text(encoding="utf-8") == made.schema_text(), "python -m tests.helm.values --write"
    assert made.README.read_text(encoding="utf-8") == made.readme_text(), "python -m tests.helm.values --write"


def test_the_schema_takes_the_defaults_and_every_set_up() -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert [fault.message for fault in validator.iter_errors(DEFAULTS)] == []
    for file in CI:
        assert [fault.message for fault in validator.iter_errors(yaml.safe_load(file.read_text()))] == []


def test_every_value_is_used_by_a_template() -> None:
    text = "".join(path.read_text() for path in (made.CHART / "templates").rglob("*") if path.is_file())
    unused = [
        ".".join(value.path)
        for value in made.values()
        # Sections are handed on whole, or by a loop over their keys.
        if not any(".".join(("", *value.path[at:])) in text or f'"{value.path[-1]}"' in text for at in range(3))
        and value.path[:2] not in {("probes", "liveness"), ("probes", "readiness"), ("certManager", "issuerRef")}
        and value.path[-2:-1] != ("issuerRef",)
    ]
    assert unused == []


@pytest.mark.parametrize("value", made.values(), ids=lambda value: ".".join(value.path))
def test_a_value_of_another_type_is_refused(value: made.Value) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    # No value is a list of numbers but those that take any list.
    wrong: Any = [1] if value.type != "list" else 1
    for part in reversed(value.path):
        wrong = {part: wrong}
    assert list(validator.iter_errors(wrong)), value


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"replica": 2}, "'replica' not allowed"),
        ({"policies.sorce": "git"}, "'sorce' not allowed"),
        ({"kind": "DaemonSet"}, "/kind"),
        ({"config": {"decision": {"deadline_secods": 1}}}, "'deadline_secods' not allowed"),
        ({"config": {"on_error": "allow"}}, "/config/on_error"),
        ({"image.digest": "sha256:short"}, "/image/digest"),
        ({"pdb.enabled": "yes"}, "/pdb/enabled"),
        ({"preStopSeconds": 0}, "/preStopSeconds"),
    ],
)
def test_helm_refuses_it_with_its_place(chart: Chart, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(RefusedError, match=named):
        chart.rendered(changes=changes)


def test_the_schema_of_config_is_the_services_own() -> None:
    assert SCHEMA["properties"]["config"]["$ref"] == "#/$defs/Config"
    assert set(SCHEMA["$defs"]["Config"]["properties"]) == set(Config.__struct_fields__)


def test_the_chart_names_the_versions_that_it_is_tested_with() -> None:
    chart = yaml.safe_load((made.CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == hookgate.__version__
    assert DEFAULTS["pdp"]["image"]["tag"] == CERBOS_VERSION
    assert chart["description"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["description"]
