"""Reads a directory of Cerbos policies as Cerbos does, as far as the checks need it.

Principal and role policies are left out: they are compiled and tested like the others, but not looked at.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from hookgate.policies.directory import field_name, policy_files
from hookgate.policies.model import Condition, DerivedRole, Expression, Policy, Rule


@dataclass(frozen=True, slots=True)
class _Imports:
    variables: tuple[str, ...]
    constants: tuple[str, ...]
    derived_roles: tuple[str, ...]


@dataclass(slots=True)
class _Found:
    """What the files hold, before imports are resolved."""

    policies: list[tuple[Policy, _Imports]] = field(default_factory=list)
    variables: dict[str, dict[str, Expression]] = field(default_factory=dict)
    constants: dict[str, dict[str, Any]] = field(default_factory=dict)
    derived_roles: dict[str, dict[str, DerivedRole]] = field(default_factory=dict)


def policies_in(directory: Path) -> tuple[Policy, ...]:
    """Gives the resource policies below a directory, with what they import.

    Files that hold something else, or nothing that can be read, are passed over: Cerbos's compiler has the say on them.
    """
    found = _Found()
    for file in policy_files(directory):
        _File(file, str(file.relative_to(directory))).read_into(found)
    return tuple(_resolved(policy, imports, found) for policy, imports in found.policies)


def _resolved(policy: Policy, imports: _Imports, found: _Found) -> Policy:
    variables: dict[str, Expression] = {}
    for name in imports.variables:
        variables |= found.variables.get(name, {})
    constants: dict[str, Any] = {}
    for name in imports.constants:
        constants |= found.constants.get(name, {})
    roles: dict[str, DerivedRole] = {}
    for name in imports.derived_roles:
        roles |= found.derived_roles.get(name, {})
    return replace(
        policy,
        variables=variables | dict(policy.variables),
        constants=constants | dict(policy.constants),
        derived_roles=roles,
    )


class _File:
    """One file, read through PyYAML's nodes, which know their lines."""

    def __init__(self, file: Path, name: str) -> None:
        self._name = name
        try:
            self._loader = yaml.SafeLoader(file.read_text(encoding="utf-8"))
            self._root = self._loader.get_single_node()
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            self._root = None

    def read_into(self, found: _Found) -> None:
        root = self._fields(self._root)
        if exported := self._fields(root.get("exportVariables")):
            found.variables[self._text(exported.get("name"))] = self._expressions(exported.get("definitions"))
        if exported := self._fields(root.get("exportConstants")):
            found.constants[self._text(exported.get("name"))] = self._values(exported.get("definitions"))
        if derived := self._fields(root.get("derivedRoles")):
            found.derived_roles[self._text(derived.get("name"))] = self._derived(derived.get("definitions"))
        if policy := self._fields(root.get("resourcePolicy")):
            found.policies.append(self._policy(policy, root))

    def _policy(self, policy: dict[str, yaml.Node], root: dict[str, yaml.Node]) -> tuple[Policy, _Imports]:
        variables, constants = self._fields(policy.get("variables")), self._fields(policy.get("constants"))
        read = Policy(
            file=self._name,
            line=_line(policy.get("resource")),
            kind=self._text(policy.get("resource")),
            version=self._text(policy.get("version")) or "default",
            scope=self._text(policy.get("scope")),
            rules=tuple(
                self._rule(number, node) for number, node in enumerate(self._items(policy.get("rules")), start=1)
            ),
            # Variables at the top of the file are the older form.
            variables=self._expressions(root.get("variables")) | self._expressions(variables.get("local")),
            constants=self._values(constants.get("local")),
        )
        return read, _Imports(
            self._texts(variables.get("import")),
            self._texts(constants.get("import")),
            self._texts(policy.get("importDerivedRoles")),
        )

    def _rule(self, number: int, node: yaml.Node) -> Rule:
        rule = self._fields(node)
        output = self._fields(rule.get("output"))
        when = self._fields(output.get("when"))
        return Rule(
            number=number,
            name=self._text(rule.get("name")),
            line=_line(node),
            actions=self._texts(rule.get("actions")),
            effect=self._text(rule.get("effect")),
            roles=self._texts(rule.get("roles")),
            derived_roles=self._texts(rule.get("derivedRoles")),
            condition=self._condition(rule.get("condition")),
            outputs=self._some(when.get("ruleActivated"), output.get("expr")),
            outputs_unmet=self._some(when.get("conditionNotMet")),
        )

    def _condition(self, node: yaml.Node | None) -> Condition | None:
        match = self._fields(node).get("match")
        return self._match(match) if match is not None else None

    def _match(self, node: yaml.Node) -> Condition:
        fields = self._fields(node)
        for kind in ("all", "any", "none"):
            if kind in fields:
                of = self._items(self._fields(fields[kind]).get("of"))
                return Condition(kind, of=tuple(self._match(item) for item in of))
        return Condition("expr", next(iter(self._some(fields.get("expr"))), None))

    def _derived(self, node: yaml.Node | None) -> dict[str, DerivedRole]:
        roles = (self._fields(item) for item in self._items(node))
        return {
            name: DerivedRole(name, self._texts(role.get("parentRoles")), self._condition(role.get("condition")))
            for role in roles
            if (name := self._text(role.get("name")))
        }

    def _expressions(self, node: yaml.Node | None) -> dict[str, Expression]:
        return {key: self._expression(value) for key, value in self._entries(node).items()}

    def _expression(self, node: yaml.Node) -> Expression:
        # The text of a block scalar (| or >) begins on the line below its sign.
        block = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
        return Expression(self._text(node), _line(node) + block)

    def _some(self, *nodes: yaml.Node | None) -> tuple[Expression, ...]:
        return tuple(self._expression(node) for node in nodes if node is not None)

    def _values(self, node: yaml.Node | None) -> dict[str, Any]:
        return {key: self._loader.construct_object(value, deep=True) for key, value in self._entries(node).items()}

    def _fields(self, node: yaml.Node | None) -> dict[str, yaml.Node]:
        return {field_name(name): value for name, value in self._entries(node).items()}

    def _entries(self, node: yaml.Node | None) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            return {}
        self._loader.flatten_mapping(node)
        return {self._text(key): value for key, value in node.value}

    def _items(self, node: yaml.Node | None) -> list[yaml.Node]:
        return list(node.value) if isinstance(node, yaml.SequenceNode) else []

    def _texts(self, node: yaml.Node | None) -> tuple[str, ...]:
        return tuple(self._text(item) for item in self._items(node))

    def _text(self, node: yaml.Node | None) -> str:
        return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _line(node: yaml.Node | None) -> int:
    return int(node.start_mark.line) + 1 if node is not None else 1
