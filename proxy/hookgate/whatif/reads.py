"""What policies read of a request, by event: what they don't read can't change what they say."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hookgate.policies.directory import field_name, policy_files
from hookgate.policies.expression import Call, Index, Literal, Name, Node, Select, children, parse
from hookgate.policies.tokens import CelError

#: Names of attributes, from the outside in: `("tool_input", "command")`. Empty: all of them.
Path_ = tuple[str, ...]

_RESOURCE, _PRINCIPAL = ("request", "resource"), ("request", "principal")
_ROOTS: Mapping[str, Path_] = {"R": _RESOURCE, "P": _PRINCIPAL, "request": ("request",)}
#: What stands there beside `attr` is in every record.
_PLAIN = {"id", "kind", "roles", "scope", "policyVersion", "policy_version"}
_CLOCK = {"now", "timeSince"}
_GLOBALS = {"G", "globals"}
_DEFINED = {"local", "definitions", "variables"}
_EXPRESSIONS = {"expr", "ruleActivated", "conditionNotMet"}


@dataclass(frozen=True, slots=True)
class Reads:
    """Paths below `R.attr` and `P.attr`, and what no record holds: the time, the caller's token, the PDP's own globals."""

    resource: frozenset[Path_] = frozenset()
    principal: frozenset[Path_] = frozenset()
    unrecorded: frozenset[str] = frozenset()

    def __or__(self, other: "Reads") -> "Reads":
        return Reads(
            self.resource | other.resource, self.principal | other.principal, self.unrecorded | other.unrecorded
        )


NOTHING = Reads()
#: Of an expression that can't be read here.
EVERYTHING = Reads(frozenset({()}), frozenset({()}))


def touches(reads: frozenset[Path_], path: Path_) -> bool:
    """Whether something at a path, or above or below it, is read."""
    return any(read[: len(path)] == path[: len(read)] for read in reads)


def reads_in(directory: Path) -> "ReadsByEvent":
    """Gives what the policies of a directory read. In doubt, more than they do: imported variables count, used or not, and all
    that cannot be taken apart counts as reading everything."""
    found = ReadsByEvent()
    for file in policy_files(directory):
        try:
            for document in yaml.load_all(file.read_text(encoding="utf-8"), _Plain):
                if isinstance(document, dict):
                    found.add(document)
        except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError, RecursionError):
            # Cerbos would not take it either; if it did, nothing could be said.
            found.everywhere |= EVERYTHING
    return found


class _Plain(yaml.SafeLoader):
    """Takes no aliases: few lines of them can mean more than a machine has room for, or themselves."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Gives the next node. Raises YAMLError for an alias."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias")
        return super().compose_node(parent, index)


def _named(fields: dict[str, Any]) -> dict[str, Any]:
    """Gives a message's fields by the names that its JSON form has: Cerbos takes `rule_activated` for `ruleActivated`."""
    return {field_name(str(name)): value for name, value in fields.items()}


@dataclass(slots=True)
class ReadsByEvent:
    """What is read by each event's policies, those of principals and roles included."""

    everywhere: Reads = NOTHING
    _by_kind: dict[str, Reads] = field(default_factory=dict)
    _imports: dict[str, set[str]] = field(default_factory=dict)
    _exported: dict[str, Reads] = field(default_factory=dict)

    def of(self, kind: str) -> Reads:
        """Gives what is read when this event is judged."""
        found = self.everywhere | self._by_kind.get(kind, NOTHING)
        for name in self._imports.get(kind, set()) | self._imports.get("", set()):
            found |= self._exported.get(name, NOTHING)
            for further in self._imports.get(f"derived {name}", set()):
                found |= self._exported.get(further, NOTHING)
        return found

    def add(self, document: dict[str, Any]) -> None:
        """Adds a policy file's."""
        own = _all(_expressions(document))
        document = _named(document)
        if isinstance(policy := document.get("resourcePolicy"), dict):
            kind = str(policy.get("resource"))
            self._by_kind[kind] = self._by_kind.get(kind, NOTHING) | own
            self._imports.setdefault(kind, set()).update(_imported(policy))
        elif isinstance(exported := document.get("exportVariables"), dict):
            name = f"variables {exported.get('name')}"
            self._exported[name] = self._exported.get(name, NOTHING) | own
        elif isinstance(derived := document.get("derivedRoles"), dict):
            name = f"roles {derived.get('name')}"
            self._exported[name] = self._exported.get(name, NOTHING) | own
            self._imports.setdefault(f"derived {name}", set()).update(_imported(derived))
        else:
            self.everywhere |= own
            for policy in (document.get("principalPolicy"), document.get("rolePolicy")):
                if isinstance(policy, dict):
                    self._imports.setdefault("", set()).update(_imported(policy))


def _imported(policy: dict[str, Any]) -> Iterator[str]:
    policy = _named(policy)
    variables = policy.get("variables")
    for name in (variables.get("import") if isinstance(variables, dict) else None) or ():
        yield f"variables {name}"
    for name in policy.get("importDerivedRoles") or ():
        yield f"roles {name}"


def _expressions(value: Any) -> Iterator[str]:
    """Gives every text that is an expression by its place."""
    if isinstance(value, list):
        for item in value:
            yield from _expressions(item)
    if not isinstance(value, dict):
        return
    for name, item in value.items():
        key = field_name(str(name))
        if key in _EXPRESSIONS and isinstance(item, str):
            yield item
        elif key in _DEFINED and isinstance(item, dict):
            # Whatever they are called. At the top of a file stands the older form, beside names of imports.
            yield from (text for text in item.values() if isinstance(text, str))
            yield from _expressions({name: inner for name, inner in item.items() if not isinstance(inner, str)})
        elif key not in ("import", "constants", "exportConstants"):
            yield from _expressions(item)


def _all(expressions: Iterable[str]) -> Reads:
    found = NOTHING
    for text in expressions:
        try:
            found |= _reads(parse(text))
        except (CelError, RecursionError):
            return EVERYTHING
    return found


def _reads(node: Node) -> Reads:
    chain = _chain(node)
    if chain is not None:
        return _of_chain(chain)
    found = NOTHING
    if isinstance(node, Call) and node.name in _CLOCK:
        found = Reads(unrecorded=frozenset({"clock"}))
    if isinstance(node, Name) and node.name in _GLOBALS:
        found = Reads(unrecorded=frozenset({"globals"}))
    for child in children(node):
        found |= _reads(child)
    return found


def _chain(node: Node) -> Path_ | None:
    match node:
        case Name(name=name):
            return _ROOTS.get(name)
        case Select(of=of, field=name) | Index(of=of, key=Literal(value=str(name))):
            base = _chain(of)
            return None if base is None else (*base, name)
    return None


def _of_chain(chain: Path_) -> Reads:
    if chain[:1] == ("request",) and len(chain) == 1:
        return EVERYTHING | Reads(unrecorded=frozenset({"token"}))
    if chain[:2] not in (_RESOURCE, _PRINCIPAL):
        return Reads(unrecorded=frozenset({"token"}))
    rest = chain[2:]
    if rest and rest[0] in _PLAIN:
        return NOTHING
    path = rest[1:] if rest[:1] == ("attr",) else ()
    return Reads(resource=frozenset({path})) if chain[1] == "resource" else Reads(principal=frozenset({path}))
