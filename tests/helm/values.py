"""What is made of the chart's values.yaml: values.schema.json, and the table in its README. `--write` makes both anew."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hookgate.config.load import schema as settings_schema

CHART = Path(__file__).resolve().parents[2] / "helm" / "hookgate"
VALUES, SCHEMA, README = CHART / "values.yaml", CHART / "values.schema.json", CHART / "README.md"
_BEGIN, _END = "<!-- values: begin -->", "<!-- values: end -->"
_COMMENT = re.compile(r"\((?P<type>[^)]*(?:\([^)]*\)[^)]*)*)\) (?P<text>.+)")


@dataclass(frozen=True, slots=True)
class Value:
    """One key that can be set: its path, the type in its comment, what it is, and its default."""

    path: tuple[str, ...]
    type: str
    text: str
    default: Any


def values() -> list[Value]:
    """Gives all of them in the file's order. ValueError names a key without a comment."""
    text = VALUES.read_text(encoding="utf-8")
    root = yaml.compose(text, yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    return list(_of(root, (), text.splitlines(), yaml.safe_load(text)))


def _of(node: yaml.MappingNode, path: tuple[str, ...], lines: list[str], tree: dict[str, Any]) -> Iterator[Value]:
    for key, value in node.value:
        here = (*path, key.value)
        comment: list[str] = []
        at = key.start_mark.line - 1
        while at >= 0 and lines[at].startswith(" " * key.start_mark.column + "# "):
            comment.insert(0, lines[at].strip().removeprefix("# "))
            at -= 1
        said = " ".join(comment)
        if said.startswith("-- "):
            match = _COMMENT.fullmatch(said.removeprefix("-- "))
            if match is None:
                raise ValueError(f"{'.'.join(here)}: expected `# -- (type) text` above it")
            yield Value(here, match["type"], match["text"], tree[key.value])
        elif isinstance(value, yaml.MappingNode) and value.value:
            yield from _of(value, here, lines, tree[key.value])
        else:
            raise ValueError(f"{'.'.join(here)}: has no comment")


def _typed(text: str) -> dict[str, Any]:
    """Gives the schema of a type as it stands in a comment."""
    if " or " in text:
        return {"anyOf": [_typed(one) for one in text.split(" or ")]}
    if text.startswith("enum: "):
        return {"enum": text.removeprefix("enum: ").split("|")}
    if text.startswith("string ~ "):
        return {"type": "string", "pattern": text.removeprefix("string ~ ")}
    if match := re.fullmatch(r"(int|number) (>=|>) (\d+)", text):
        bound = {">=": "minimum", ">": "exclusiveMinimum"}[match[2]]
        return {**_typed(match[1]), bound: int(match[3])}
    plain: dict[str, dict[str, Any]] = {
        "bool": {"type": "boolean"},
        "int": {"type": "integer"},
        "number": {"type": "number"},
        "string": {"type": "string"},
        "null": {"type": "null"},
        "object": {"type": "object"},
        "list": {"type": "array"},
        "list of strings": {"type": "array", "items": {"type": "string"}},
        "list of objects": {"type": "array", "items": {"type": "object"}},
        "map of strings": {"type": "object", "additionalProperties": {"type": "string"}},
        "settings": {"$ref": "#/$defs/Config"},
    }
    return plain[text]


def schema() -> dict[str, Any]:
    """Gives the JSON Schema of the values: no other keys, no other types."""
    root: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": {}}
    for value in values():
        at = root
        for part in value.path[:-1]:
            at = at["properties"].setdefault(part, {"type": "object", "additionalProperties": False, "properties": {}})
        at["properties"][value.path[-1]] = {**_typed(value.type), "description": value.text}
    # Helm itself hands it to charts.
    root["properties"]["global"] = {"type": "object"}
    settings = settings_schema()["$defs"]
    # The chart gives what is required.
    for name in ("Config", "Pdp"):
        settings[name].pop("required", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **root, "$defs": settings}


def schema_text() -> str:
    """Gives the schema as it stands in its file."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def readme_text() -> str:
    """Gives the README with its table made anew."""
    before, _, rest = README.read_text(encoding="utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    return f"{before}{_BEGIN}\n{_table()}\n{_END}{after}"


def _table() -> str:
    rows = ["| value | type | default | what it is |", "| --- | --- | --- | --- |"]
    for value in values():
        cells = (
            f"`{'.'.join(value.path)}`",
            value.type.replace("|", ", "),
            f"`{json.dumps(value.default, ensure_ascii=False)}`",
            value.text.replace("|", "\\|"),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> int:
    """Makes the files anew, with `--write`."""
    if sys.argv[1:] != ["--write"]:
        sys.stderr.write("expected --write\n")
        return 2
    SCHEMA.write_text(schema_text(), encoding="utf-8")
    README.write_text(readme_text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
