"""A configuration file and the environment, read into the tree; every fault is reported at once, with its path."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

import msgspec
import yaml

from hookgate.config.check import cross_check
from hookgate.config.expected import expected, got, shown
from hookgate.config.tree import Config

#: Environment variables that set a key start so: HOOKGATE__DECISION__DEADLINE_SECONDS. A single underscore would meet
#: the variables that Kubernetes makes for a Service called `hookgate`.
ENV_PREFIX = "HOOKGATE__"

S = TypeVar("S", bound=msgspec.Struct)

_TOO_DEEP = "nested too deeply (does an alias hold itself?)"
_VARIABLE = re.compile(r"(\$?)\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}")


class ConfigError(Exception):
    """A configuration that can't be used. `faults` has one line a fault, each beginning with the key's path."""

    def __init__(self, source: str, faults: list[str]) -> None:
        super().__init__(f"{source}: " + "; ".join(faults))
        self.source = source
        self.faults = faults


def load(path: Path | None, environ: Mapping[str, str] = os.environ, *, needs_pdp: bool = True) -> Config:
    """Reads the file (if any) and the environment. Without `needs_pdp` no PDP need be named, for services that ask none.

    Raises ConfigError with all faults: unreadable file, YAML errors, unset variables, unknown keys, wrong values.
    """
    tree = tree_of(path) if path is not None else {}
    if not needs_pdp and isinstance(tree or {}, dict):
        tree = {"pdp": {"address": "unix:none"}, **(tree or {})}
    return parse(tree, environ, str(path) if path else "environment")


def tree_of(path: Path) -> Any:
    """Reads a YAML file, of settings or otherwise. Raises ConfigError: unreadable, no YAML, a key given twice."""
    source = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(source, [f"can't be read: {why}"]) from None
    try:
        return yaml.load(text, _UniqueKeys)  # noqa: S506 (a SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(source, [_yaml_fault(error)]) from None
    except RecursionError:
        raise ConfigError(source, [_TOO_DEEP]) from None


def section(kind: type[S], tree: Any, source: str) -> S:
    """Gives the values of a tree that is no configuration of the service's. Raises ConfigError with all faults."""
    faults: list[str] = []
    found: S | None = _struct(kind, tree, "", faults)
    if faults or found is None:
        raise ConfigError(source, faults)
    return found


def parse(tree: Any, environ: Mapping[str, str] = os.environ, source: str = "configuration") -> Config:
    """Gives the configuration for an already read tree. Raises ConfigError."""
    faults: list[str] = []
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ConfigError(source, [f"expected a mapping of settings, got {shown(tree)}"])
    try:
        tree = _expand(tree, environ, "", faults)
    except RecursionError:
        raise ConfigError(source, [_TOO_DEEP]) from None
    # Of a value that is not there, nothing else need be told.
    unset = [_place(fault) for fault in faults]
    _overlay(tree, environ, faults)
    config: Config | None = _struct(Config, tree, "", faults)
    if faults or config is None:
        raise ConfigError(
            source, faults[: len(unset)] + [one for one in faults[len(unset) :] if _place(one) not in unset]
        )
    if faults := cross_check(config):
        raise ConfigError(source, faults)
    return config


def _place(fault: str) -> str:
    return fault.partition(":")[0]


def schema() -> dict[str, Any]:
    """Gives the JSON Schema (2020-12) of a configuration file."""
    made = msgspec.json.schema(Config)
    for section in made["$defs"].values():
        for name, setting in section.get("properties", {}).items():
            # OpenAPI's word, which JSON Schema does not know; `enum` tells the kinds apart.
            setting.get("items", {}).pop("discriminator", None)
            if name == "type":
                setting["description"] = "Which kind this section is of."
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


class _UniqueKeys(yaml.SafeLoader):
    """YAML that refuses a key given twice, where PyYAML would silently take the last, and says where a value is none."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, AttributeError):  # what PyYAML lets through of `2026-13-45`, `0x_` or `!!timestamp x`
            raise yaml.MarkedYAMLError(
                problem=f"{shown(node.value)} is no {node.tag.rsplit(':', 1)[-1]}", problem_mark=node.start_mark
            ) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(
                    problem=f"keys are names, got {shown(key)}", problem_mark=key_node.start_mark
                )
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"key {key!r} is given twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _yaml_fault(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())


def _expand(value: Any, environ: Mapping[str, str], path: str, faults: list[str]) -> Any:
    """Replaces ${NAME} and ${NAME:default} in strings; a value that is one whole variable is read as YAML again."""
    if isinstance(value, dict):
        return {key: _expand(item, environ, _join(path, key), faults) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, environ, f"{path}[{i}]", faults) for i, item in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value

    def replaced(match: re.Match[str]) -> str:
        escaped, name, default = match.groups()
        if escaped:
            return match.group(0)[1:]
        if name in environ:
            return environ[name]
        if default is None:
            faults.append(f"{path}: ${{{name}}} is not set in the environment and has no default (${{{name}:default}})")
            return ""
        return default

    whole = _VARIABLE.fullmatch(value)
    text = _VARIABLE.sub(replaced, value)
    return _scalar(text) if whole and not whole.group(1) else text


def _scalar(text: str) -> Any:
    try:
        return yaml.load(text, _UniqueKeys)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return text


def _overlay(tree: dict[str, Any], environ: Mapping[str, str], faults: list[str]) -> None:
    """Lays HOOKGATE__SECTION__KEY variables over the tree."""
    for name in sorted(environ):
        if not name.startswith(ENV_PREFIX):
            continue
        keys = name.removeprefix(ENV_PREFIX).lower().split("__")
        if not all(keys):
            faults.append(f"{name}: expected {ENV_PREFIX}SECTION__KEY")
            continue
        node = tree
        for key in keys[:-1]:
            child = node.setdefault(key, {})
            if not isinstance(child, dict):
                faults.append(f"{name}: {key} is no section")
                break
            node = child
        else:
            node[keys[-1]] = _scalar(environ[name])


def _struct(kind: type, value: Any, path: str, faults: list[str]) -> Any:
    """Builds one section, collecting faults instead of stopping at the first."""
    if not isinstance(value, dict):
        faults.append(f"{path or 'configuration'}: expected a mapping{got(kind, value)}")
        return None
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for key in value:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            faults.append(f"{_join(path, key)}: unknown key" + (f", did you mean {near[0]}?" if near else ""))
    found: dict[str, Any] = {}
    for name, field in fields.items():
        here = _join(path, name)
        if name in value:
            found[field.name] = _value(field.type, value[name], here, faults)
        elif field.required:
            faults.append(f"{here}: is required, {expected(field.type)}")
    return kind(**found) if not faults else None


def tagged(kind: Any) -> dict[str, type[msgspec.Struct]]:
    """Gives the sections that a value may be one of, by what its `type` says; none for any other kind of value."""
    members = get_args(kind) if isinstance(kind, UnionType) else ()
    if not all(isinstance(member, type) and issubclass(member, msgspec.Struct) for member in members):
        return {}
    return {member.__struct_config__.tag: member for member in members}


def _tagged(kinds: dict[str, type[msgspec.Struct]], value: Any, path: str, faults: list[str]) -> Any:
    if not isinstance(value, dict):
        said = "" if any(not got(kind, value) for kind in kinds.values()) else f", got {shown(value)}"
        faults.append(f"{path}: expected a mapping with a type{said}")
        return None
    name = value.get("type")
    if not isinstance(name, str) or name not in kinds:
        which = ", ".join(kinds)
        faults.append(f"{path}.type: expected one of {which}, got {shown(name) if 'type' in value else 'nothing'}")
        return None
    return _struct(kinds[name], {key: item for key, item in value.items() if key != "type"}, path, faults)


def _value(kind: Any, value: Any, path: str, faults: list[str]) -> Any:
    plain = kind
    while hasattr(plain, "__metadata__"):
        plain = get_args(plain)[0]
    if isinstance(plain, type) and issubclass(plain, msgspec.Struct):
        return _struct(plain, value, path, faults)
    items = get_args(plain)
    if get_origin(plain) is tuple and isinstance(value, list):
        return tuple(_value(items[0], item, f"{path}[{i}]", faults) for i, item in enumerate(value))
    if kinds := tagged(plain):
        return _tagged(kinds, value, path, faults)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        faults.append(f"{path}: expected {expected(kind)}{got(kind, value)}")
        return None


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)
