"""What the source says that can't be imported: comments on fields, names of log events, of records, of reasons to drop."""

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "proxy" / "hookgate"


def field_comments(module: str, name: str) -> dict[str, str]:
    """Gives the `#:` comment above each field of a class, its lines joined; empty where there is none."""
    text = (SOURCE / module).read_text(encoding="utf-8")
    lines = text.splitlines()
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ClassDef) or node.name != name:
            continue
        for field in node.body:
            if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
                continue
            comment: list[str] = []
            at = field.lineno - 2
            while lines[at].lstrip().startswith("#:"):
                comment.insert(0, lines[at].lstrip()[2:].strip())
                at -= 1
            found[field.target.id] = " ".join(comment)
    return found


def log_events() -> dict[str, set[str]]:
    """Gives the levels at which each log event is written, as far as the level stands at the call."""
    found: dict[str, set[str]] = {}
    for call in _calls():
        name = _attribute(call)
        base = ast.unparse(call.func).rpartition(".")[0] or ast.unparse(call.func)
        if not call.args or not isinstance(call.args[0], ast.Constant) or not isinstance(call.args[0].value, str):
            continue
        if name in ("debug", "info", "warning", "error") and base.rpartition(".")[2] in ("log", "_log", "_logger"):
            found.setdefault(call.args[0].value, set()).add(name)
        elif base == "write" and call.keywords:
            found.setdefault(call.args[0].value, set()).update(("info", "warning"))
    return found


def service_records() -> dict[str, list[str]]:
    """Gives the fields of `detail` of each type of record that is about the service, where the type stands at the call."""
    found: dict[str, list[str]] = {}
    for call in _calls():
        is_note = _attribute(call) == "note" or (
            isinstance(call.func, ast.Name) and call.func.id in ("service_line", "Told")
        )
        if is_note and len(call.args) >= 2 and isinstance(call.args[1], ast.Dict):
            fields = [key.value for key in call.args[1].keys if isinstance(key, ast.Constant)]
            kind = call.args[0]
            name = kind.value if isinstance(kind, ast.Constant) else ast.unparse(kind)
            found[str(name)] = [str(field) for field in fields]
    return found


def reasons_to_drop() -> set[str]:
    """Gives the words in which the code says why it drops a field of an output."""
    found: set[str] = set()
    for call in _calls():
        name = _attribute(call) or (call.func.id if isinstance(call.func, ast.Name) else "")
        position = {"_drop": 1, "Dropped": 2}.get(name)
        if position is not None and len(call.args) > position:
            found |= {
                node.value
                for node in ast.walk(call.args[position])
                if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
    return found


def _calls() -> Iterator[ast.Call]:
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield node


def _attribute(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""
