"""The tables of the documentation, made from the code: `python -m tests.docs.tables --write` puts them into the pages.

In a page a table stands between `<!-- begin: NAME -->` and `<!-- end: NAME -->`.
"""

import dataclasses
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
import typer.main
from prometheus_client.metrics import MetricWrapperBase

from hookgate.audit import schema
from hookgate.audit.finding import FindingKind
from hookgate.audit.reconcile import Violation
from hookgate.audit.record import Record
from hookgate.audit.store.fleet import FleetKind
from hookgate.client import managed
from hookgate.client.finding import Kind
from hookgate.client.forms import FORMS
from hookgate.client.plan import Plan
from hookgate.client.settings import EVENTS as SENT_EVENTS
from hookgate.commands import app
from hookgate.config.change import LIVE
from hookgate.config.expected import expected
from hookgate.config.load import ENV_PREFIX, tagged
from hookgate.config.tree import Config
from hookgate.errors import ErrorKind
from hookgate.facts.model import CommandFact, Facts, HostFact, PathFact
from hookgate.hooks.answer import Answer, is_governed, render, render_error
from hookgate.hooks.catalog import EVENTS, TOP_FIELDS, EventSpec, Form
from hookgate.hooks.opinion import Opinion
from hookgate.hooks.verdict import Verdict
from hookgate.outcome import Fallback, Mode, Outcome
from hookgate.pdp.findings import CanaryState
from hookgate.telemetry.collecting import CollectMetrics
from hookgate.telemetry.metrics import Metrics
from tests.docs import code, words

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
MANAGED_SETTINGS = ROOT / "deploy" / "claude-code" / "managed-settings.json"
RECORD_SCHEMA = code.SOURCE / "audit" / schema.FILE_NAME
HOOK_URL = "http://127.0.0.1:3594/ext/claude"


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of the configuration. `listed`: it belongs to an entry of a list, which no variable reaches by itself."""

    path: str
    expects: str
    default: str
    description: str
    listed: bool = False

    @property
    def variable(self) -> str:
        return ENV_PREFIX + self.path.upper().replace(".", "__")


def settings(kind: type[msgspec.Struct] = Config, path: str = "", *, listed: bool = False) -> Iterator[Setting]:
    """Gives every setting, in the order of the code."""
    for field in msgspec.structs.fields(kind):
        here = f"{path}.{field.encode_name}" if path else field.encode_name
        plain = _plain(field.type)
        if isinstance(plain, type) and issubclass(plain, msgspec.Struct):
            yield from settings(plain, here, listed=listed)
            continue
        made = field.default_factory is not msgspec.NODEFAULT
        value = field.default_factory() if made else field.default
        default = "required" if field.required else f"`{_value(value)}`"
        if here.endswith("_bytes") and isinstance(value, int):
            default += f" ({_size(value)})"
        yield Setting(here, expected(field.type), default, _description(field.type), listed)
        element = get_args(plain)[0] if get_origin(plain) is tuple else None
        if isinstance(element, type) and issubclass(element, msgspec.Struct):
            yield from settings(element, f"{here}[]", listed=True)
        yield from _tagged_settings(tagged(element), here)


def _tagged_settings(kinds: dict[str, type[msgspec.Struct]], path: str) -> Iterator[Setting]:
    """What all kinds of a section have comes once."""
    found = {tag: list(settings(kind, f"{path}[{tag}]", listed=True)) for tag, kind in kinds.items()}
    names = [{one.path.rpartition(".")[2] for one in members} for members in found.values()]
    shared = set.intersection(*names) if names else set()
    for at, members in enumerate(found.values()):
        for one in members:
            name = one.path.rpartition(".")[2]
            if name not in shared:
                yield one
            elif at == 0:
                yield dataclasses.replace(one, path=f"{path}[].{name}")


def _plain(kind: Any) -> Any:
    while hasattr(kind, "__metadata__"):
        kind = get_args(kind)[0]
    return kind


def _description(kind: Any) -> str:
    return next((meta.description for meta in getattr(kind, "__metadata__", ()) if meta.description), "")


def _value(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if value is None:
        return "null"
    if isinstance(value, tuple) and all(isinstance(one, msgspec.Struct) for one in value) and value:
        return ", ".join(f"type: {one.__struct_config__.tag}" for one in value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _size(count: int) -> str:
    return f"{count // 2**20} MiB" if count % 2**20 == 0 else f"{count / 1024:g} KiB"


def table(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Gives a table's lines."""
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in [heads, *rows]]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return [lines[0], "|" + "---|" * len(heads), *lines[1:]]


def settings_tables() -> list[str]:
    """A section for each part of the configuration."""
    sections: dict[str, list[Setting]] = {"": []}
    texts = {"": "Settings that belong to no section."}
    for field in msgspec.structs.fields(Config):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            sections[field.name] = []
            texts[field.name] = (field.type.__doc__ or "").strip()
    for setting in settings():
        section = setting.path.split(".")[0]
        sections[section if section in sections else ""].append(setting)
    lines: list[str] = []
    for section, members in sections.items():
        rows = [
            [
                f"`{one.path}`" + ("" if one.listed else f"<br>`{one.variable}`"),
                one.expects,
                one.default,
                one.description,
            ]
            for one in members
        ]
        lines += ["", f"### {section or 'Overall'}", "", texts[section], ""]
        lines += table(["setting, variable", "expects", "default", "what it does"], rows)
    return lines[1:]


def error_table() -> list[str]:
    """Every error kind, with what PreToolUse is answered."""
    spec = EVENTS["PreToolUse"]
    rows = []
    for kind in ErrorKind:
        answers = [_opinion(render_error(kind, spec, "id", on_error=fallback)) for fallback in Fallback]
        rows.append([f"`{kind.value}`", kind.side.value, kind.meaning, *answers, words.MENDS[kind]])
    heads = ["kind", "side", "meaning", *(f"`on_error: {fallback.value}`" for fallback in Fallback), "what to do"]
    return table(heads, rows)


def _opinion(answer: Answer) -> str:
    return "no opinion" if answer.opinion is Opinion.NONE else answer.opinion.name.lower()


def event_table() -> list[str]:
    """Every event: how it is told no, and what the client then does."""
    rows = []
    for spec in EVENTS.values():
        denial = _rendered(spec, Opinion.DENY)
        if spec.form is Form.CONTINUE:
            denial += ", only where an output says so"
        question = render(_verdict(Opinion.ASK), spec, "id")
        if spec.can_ask:
            ask = "the person is asked"
        elif question.opinion is Opinion.DENY:
            ask = "as a denial"
        else:
            ask = "the prompt stays" if spec.form is Form.BEHAVIOR else "nothing"
        governed = "yes" if is_governed(spec, ()) else "if named" if spec.obeys else "no"
        sent = "yes" if spec.name in SENT_EVENTS else ""
        rows.append([f"`{spec.name}`", denial, words.EFFECTS[spec.name], ask, governed, sent])
    return table(
        [
            "event",
            "told no by",
            "what a denial does",
            "a question",
            "`on_error`, `no_match` hold",
            "in the settings made",
        ],
        rows,
    )


def _verdict(opinion: Opinion) -> Verdict:
    return Verdict(Outcome.DENY, opinion, reason="why", explicit=True)


def _rendered(spec: EventSpec, opinion: Opinion) -> str:
    body = render(_verdict(opinion), spec, "id").body
    told = [pair for pair in _leaves(body, "") if not pair[0].endswith(("hookEventName", "eason", "message"))]
    return ", ".join(f"`{key}: {value}`" for key, value in told if key != "systemMessage") or "-"


def _leaves(value: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, dict):
            yield from _leaves(item, f"{path}{key}.")
        else:
            yield f"{path}{key}", item


def field_table() -> list[str]:
    """What an output may carry beside its opinion, and what policies can rely on."""
    names: dict[type, str] = {str: "text", dict: "object"}
    rows = []
    for spec in EVENTS.values():
        fields = [f"`{name}` ({kind.value})" for name, kind in spec.fields.items()]
        if spec.form is Form.BEHAVIOR:
            fields = ["`decision.updatedInput` (object)", "`decision.updatedPermissions` (list of permission updates)"]
            fields.append("`decision.interrupt` (boolean)")
        required = [f"`{key}` ({names[kind]})" for key, kind in spec.required.items()]
        if fields or required:
            rows.append([f"`{spec.name}`", ", ".join(fields) or "-", ", ".join(required) or "-"])
    top = ", ".join(f"`{name}` ({kind.value})" for name, kind in TOP_FIELDS.items())
    lines = table(["event", "further fields of `hookSpecificOutput`", "attributes always there"], rows)
    return [*lines, "", f"At the top level, on every event: {top}."]


def drop_table() -> list[str]:
    """Why fields are dropped."""
    return table(["why", "meaning"], [[f"`{why}`", words.WHYS[why]] for why in sorted(code.reasons_to_drop())])


def fact_table() -> list[str]:
    """The facts that policies read."""
    rows: list[list[str]] = []
    for kind, prefix in (
        (Facts, "R.attr.facts."),
        (PathFact, "R.attr.facts.paths[]."),
        (HostFact, "R.attr.facts.hosts[]."),
        (CommandFact, "R.attr.facts.commands[]."),
    ):
        comments = code.field_comments("facts/model.py", kind.__name__)
        rows += [
            [f"`{prefix}{field.name}`", expected(field.type), comments[field.name]]
            for field in msgspec.structs.fields(kind)
        ]
    return table(["fact", "type", "meaning"], rows)


def record_table() -> list[str]:
    """The fields of a decision's record."""
    comments = code.field_comments("audit/record.py", "Record")
    rows = [[f"`{field.name}`", expected(field.type), comments[field.name]] for field in msgspec.structs.fields(Record)]
    return table(["field", "type", "meaning"], rows)


def service_record_table() -> list[str]:
    """Records about the service."""
    found = code.service_records()
    shared = found.get("violation.value", [])
    rows = [
        [f"`{kind}`", ", ".join(f"`{field}`" for field in found.get(kind) or shared), text]
        for kind, text in words.SERVICE_RECORDS.items()
    ]
    return table(["type", "in `detail`", "meaning"], rows)


def fleet_finding_table() -> list[str]:
    """What a collector finds."""
    return table(["finding", "meaning"], [[f"`{kind.value}`", kind.meaning] for kind in FleetKind])


def finding_table() -> list[str]:
    """What verification of the journal finds."""
    return table(["finding", "meaning"], [[f"`{kind.value}`", kind.meaning] for kind in FindingKind])


def doctor_table() -> list[str]:
    """What doctor finds."""
    rows = [[f"`{kind.value}`", kind.severity.value, kind.meaning, kind.mend] for kind in Kind]
    return table(["finding", "severity", "meaning", "what to do"], rows)


def live_table() -> list[str]:
    """Settings that count without a restart."""
    known = [one.path for one in settings()]
    return [f"- `{path}`" + ("" if path in known else ", all of it") for path in LIVE]


def metrics() -> list[MetricWrapperBase]:
    """Gives every metric, in the order of the code; those of a collector behind those of the service."""
    found = {
        str(metric._name): metric
        for made in (CollectMetrics(), Metrics())
        for metric in made.registry._collector_to_names
        if isinstance(metric, MetricWrapperBase)
    }
    return sorted(found.values(), key=lambda metric: str(metric._name).startswith("hookgate_collect_"))


def exposed(metric: MetricWrapperBase) -> list[str]:
    """Gives the names of a metric's samples."""
    name = str(metric._name)
    if metric._type == "histogram":
        return [f"{name}_bucket", f"{name}_sum", f"{name}_count"]
    return [name + {"counter": "_total", "info": "_info"}.get(str(metric._type), "")]


def metric_table() -> list[str]:
    """Every metric as exposed, and the values of the labels."""
    rows = []
    for metric in metrics():
        name = str(metric._name) if metric._type == "histogram" else exposed(metric)[0]
        labels = ", ".join(f"`{label}`" for label in metric._labelnames or words.INFO_LABELS.get(name, ()))
        kind = "gauge" if metric._type == "info" else metric._type
        rows.append([f"`{name}`", str(kind), labels, str(metric._documentation)])
    lines = table(["metric", "type", "labels", "what it counts or shows"], rows)
    enums = {"outcome": Outcome, "mode": Mode, "state": CanaryState, "type": Violation}
    values = {name: ", ".join(f"`{one.value}`" for one in kind) for name, kind in enums.items()}
    return [*lines, "", *table(["label", "values"], [[f"`{k}`", v] for k, v in (words.LABELS | values).items()])]


def log_table() -> list[str]:
    """Every log event."""
    found = code.log_events()
    levels = ("debug", "info", "warning", "error")
    rows = [
        [f"`{name}`", ", ".join(level for level in levels if level in found.get(name, {"error"})), text]
        for name, text in words.LOG_EVENTS.items()
    ]
    return table(["event", "level", "meaning"], rows)


def commands() -> dict[str, Any]:
    """Gives every command that does something, by its full name."""
    found: dict[str, Any] = {}

    def walk(command: Any, name: str) -> None:
        if not hasattr(command, "commands") or command.invoke_without_command:
            found[name] = command
        for child, inner in getattr(command, "commands", {}).items():
            walk(inner, f"{name} {child}")

    walk(typer.main.get_command(app), "hookgate")
    return found


def command_sections() -> list[str]:
    """A section for each command."""
    lines: list[str] = []
    for name, command in commands().items():
        arguments = [param for param in command.params if param.param_type_name == "argument"]
        options = [param for param in command.params if param.param_type_name == "option"]
        usage = [name, *(param.name.upper() for param in arguments), *(["[OPTIONS]"] if options else [])]
        lines += ["", f"## {name}", "", f"    {' '.join(usage)}", ""]
        lines += [" ".join(part.split()) for part in _paragraphs(command.help or "")]
        rows = [[f"`{param.name.upper()}`", "", param.help or ""] for param in arguments]
        rows += [[", ".join(f"`{opt}`" for opt in param.opts), _default(param), param.help or ""] for param in options]
        if rows:
            lines += ["", *table(["option", "default", "meaning"], rows)]
    return lines[1:]


def _paragraphs(text: str) -> Iterator[str]:
    for i, part in enumerate(text.strip().split("\n\n")):
        if i:
            yield ""
        yield part


def _default(param: Any) -> str:
    return "" if param.default in (None, "", False) else f"`{param.default}`"


def managed_settings() -> dict[str, Any]:
    """Gives the settings for a managed client: the hooks, and all that keeps an agent from going round them."""
    return managed.managed_settings(Plan())


def managed_settings_text() -> str:
    """Gives the settings file's text, a line for each event's hook."""
    return FORMS["json"].render(Plan(), "").decode()


def plan_table() -> list[str]:
    """The keys of the file that `hookgate settings` reads."""
    rows = [[f"`{one.path}`", one.expects, one.default, one.description] for one in settings(Plan)]
    return table(["key", "value", "default", "meaning"], rows)


def form_table() -> list[str]:
    """The forms that it writes."""
    return table(["form", "file", "for"], [[f"`{one.name}`", f"`{one.file}`", one.use] for one in FORMS.values()])


def record_schema_text() -> str:
    """Gives the text of the records' schema in the package."""
    made = schema.schema(code.field_comments("audit/record.py", "Record"), words.SERVICE_RECORDS)
    return json.dumps(made, indent=2) + "\n"


MADE: dict[str, Callable[[], list[str]]] = {
    "settings": settings_tables,
    "errors": error_table,
    "events": event_table,
    "fields": field_table,
    "drops": drop_table,
    "facts": fact_table,
    "record": record_table,
    "service-records": service_record_table,
    "findings": finding_table,
    "fleet-findings": fleet_finding_table,
    "metrics": metric_table,
    "logs": log_table,
    "commands": command_sections,
    "doctor": doctor_table,
    "plan": plan_table,
    "forms": form_table,
    "live": live_table,
}

_BLOCK = re.compile(r"(<!-- begin: (?P<name>[a-z-]+) -->\n).*?(<!-- end: (?P=name) -->)", re.DOTALL)


def renewed(page: str) -> str:
    """Gives a page's text with every table as the code gives it now."""

    def block(match: re.Match[str]) -> str:
        return f"{match[1]}\n" + "\n".join(MADE[match["name"]]()) + f"\n\n{match[3]}"

    return _BLOCK.sub(block, page)


def main() -> int:
    """Says which files are out of date, or writes them with --write."""
    wanted = {page: renewed(page.read_text(encoding="utf-8")) for page in PAGES} | {
        MANAGED_SETTINGS: managed_settings_text(),
        RECORD_SCHEMA: record_schema_text(),
    }
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if "--write" in sys.argv:
            path.parent.mkdir(exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)}: {'written' if '--write' in sys.argv else 'out of date'}\n")
    return 0 if "--write" in sys.argv or not stale else 1


if __name__ == "__main__":
    raise SystemExit(main())
