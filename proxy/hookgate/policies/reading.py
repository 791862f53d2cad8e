"""A policy's expressions as trees, with the variables that they use."""

from collections.abc import Iterator

from hookgate.policies.expression import Name, Node, Select, parse, walk
from hookgate.policies.finding import Finding, Kind
from hookgate.policies.model import Condition, Expression, Policy, Rule
from hookgate.policies.presence import Read, Surroundings, evaluate, junction
from hookgate.policies.shape import UNKNOWN, Known, Record
from hookgate.policies.tokens import CelError


def tree(expression: Expression) -> Node | None:
    """Gives an expression's tree; None if it cannot be read."""
    try:
        return parse(expression.text)
    except CelError:
        return None


def unread(policy: Policy) -> Iterator[Finding]:
    """Finds the expressions that cannot be read, so that nobody takes silence for assent."""
    for rule in policy.rules:
        for expression in (*conditions(policy, rule), *rule.outputs, *rule.outputs_unmet):
            try:
                parse(expression.text)
            except CelError as error:
                yield Finding(
                    Kind.NOT_READ,
                    policy.file,
                    line_in(rule, expression),
                    rule.title,
                    f"the expression could not be read here ({error}): what it would show is not looked for",
                    "nothing, if the policies compile; a simpler form would be checked",
                )


def conditions(policy: Policy, rule: Rule) -> Iterator[Expression]:
    """Gives the expressions that decide whether a rule is activated: its own, and those of its derived roles."""
    if rule.condition is not None:
        yield from rule.condition.expressions()
    for name in rule.derived_roles:
        role = policy.derived_roles.get(name)
        if role is not None and role.condition is not None:
            yield from role.condition.expressions()


def line_in(rule: Rule, expression: Expression) -> int:
    """Gives the expression's line, or the rule's, if it stands in another file."""
    own = (*rule.outputs, *rule.outputs_unmet, *(rule.condition.expressions() if rule.condition is not None else ()))
    return expression.line if any(expression is one for one in own) else rule.line


def nodes(policy: Policy, expression: Expression) -> Iterator[Node]:
    """Gives every part of an expression, and of the variables that it uses."""
    seen: set[str] = set()
    waiting = [expression]
    while waiting:
        root = tree(waiting.pop())
        for node in walk(root) if root is not None else ():
            yield node
            match node:
                case Select(of=Name(name="V" | "variables"), field=name) if (
                    name in policy.variables and name not in seen
                ):
                    seen.add(name)
                    waiting.append(policy.variables[name])


def surroundings(policy: Policy, request: Record) -> Surroundings:
    """Gives what the names in a policy's expressions stand for, about one request."""

    def variable(name: str) -> Node | None:
        return tree(policy.variables[name]) if name in policy.variables else None

    return Surroundings({"request": request}, policy.constants, variable)


def judged(condition: Condition | None, around: Surroundings) -> Read:
    """Evaluates a condition. Its parts are taken in order: what settles it keeps the later ones from being read, and
    a part that fails settles it, too."""
    if condition is None:
        return Read(Known(True))
    if condition.kind == "expr":
        root = tree(condition.expression) if condition.expression is not None else None
        return evaluate(root, around) if root is not None else Read(UNKNOWN)
    reads: list[Read] = []
    settling = condition.kind != "all"
    for part in condition.of:
        reads.append(judged(part, around))
        if isinstance(reads[-1].shape, Known) and reads[-1].shape.value is settling:
            break
    shape = junction(settling, reads).shape
    if condition.kind == "none" and isinstance(shape, Known):
        shape = Known(not shape.value)
    return Read(shape).also(*reads)
