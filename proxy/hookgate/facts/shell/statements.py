"""Statements of the syntax tree: what runs, in which order, and what flows between."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from tree_sitter import Node

from hookgate.facts.shell.expansion import WORD_NODES, word_of
from hookgate.facts.shell.flow import NOTHING, Flow
from hookgate.facts.shell.frame import Frame
from hookgate.facts.shell.grammar import MAX_DEPTH, Unreadable
from hookgate.facts.shell.redirects import REDIRECTS, Redirects
from hookgate.facts.shell.state import Shell
from hookgate.facts.shell.words import NO_TAGS, Word, unescaped

_EXPANSIONS = frozenset(["simple_expansion", "expansion"])


def visit(shell: Shell, node: Node, frame: Frame) -> Flow:
    """Reads what stands at a node; gives what comes out of it. Raises Unreadable: too_deep, too_complex."""
    shell.budget.spend()
    if shell.depth > MAX_DEPTH:
        raise Unreadable("too_deep")
    kind = node.type
    statement = _STATEMENTS.get(kind)
    if statement is not None:
        return statement(shell, node, frame)
    if kind in WORD_NODES:
        return Flow(word_of(shell, node, frame).tags)
    return _all(shell, node, frame)


def _all(shell: Shell, node: Node, frame: Frame) -> Flow:
    """One after the other; what comes out of all of them comes out together."""
    only, several, tags = NOTHING, False, NO_TAGS
    shell.depth += 1
    for child in node.named_children:
        flow = visit(shell, child, frame)
        if flow.present or flow.tags:
            several = several or only is not NOTHING
            only = flow
            tags |= flow.tags
    shell.depth -= 1
    return Flow(tags, None, True) if several else only


def _apart(shell: Shell, node: Node, frame: Frame) -> Flow:
    """A subshell: what it changes ends with it."""
    cwd, variables = shell.cwd, dict(shell.variables)
    try:
        return _all(shell, node, frame)
    finally:
        shell.cwd, shell.variables = cwd, variables


def _pipeline(shell: Shell, node: Node, frame: Frame) -> Flow:
    flow = frame.flow
    shell.depth += 1
    for child in node.named_children:
        found = visit(shell, child, frame.fed(flow))
        flow = found if found.present else Flow(found.tags, found.text, True)
    shell.depth -= 1
    return flow


def _redirected(shell: Shell, node: Node, frame: Frame) -> Flow:
    redirects = Redirects(frame.flow)
    children = node.named_children
    shell.depth += 1
    if children and children[0].type == "list":
        # A redirection behind `a && b` belongs to b alone, which runs where a has gone.
        first = children[0].named_children
        for child in first[:-1]:
            visit(shell, child, frame)
        children = [*first[-1:], *children[1:]]
    body: list[Node] = []
    for child in children:
        if child.type in REDIRECTS:
            redirects.add(shell, child, frame)
        else:
            body.append(child)
    flow = redirects.flow
    result = NOTHING
    for child in body:
        result = visit(shell, child, frame.fed(flow))
    if not body and flow.present:
        result = flow
    shell.fill(redirects.outputs, result.tags if body else flow.tags)
    for child, piped in redirects.after:
        into = Flow(result.tags, result.text, True) if piped else frame.flow
        visited = visit(shell, child, frame.fed(into))
        result = visited if piped else result
    shell.depth -= 1
    return result


def _command(shell: Shell, node: Node, frame: Frame) -> Flow:
    words: list[Word] = []
    assigned: list[str] = []
    redirects: Redirects | None = None
    before = shell.variables
    for child in node.named_children:
        kind = child.type
        if kind == "word":
            words.append(Word(unescaped(shell.text(child)), False, True))
        elif kind == "command_name":
            _name(shell, child, frame, words)
        elif kind == "variable_assignment" and not words:
            if not assigned:
                shell.variables = dict(before)
            name, value = _assign(shell, child, frame)
            assigned.append(f"{name}={value.text}")
        elif kind in REDIRECTS:
            redirects = redirects or Redirects(frame.flow)
            redirects.add(shell, child, frame)
        else:
            words.append(word_of(shell, child, frame))
    if shell.behind:
        words += shell.behind
        shell.behind = []
    if not words:
        return NOTHING
    result = shell.run(words, assigned, frame.fed(redirects.flow) if redirects else frame)
    if assigned:
        shell.variables = before
    if redirects:
        shell.fill(redirects.outputs, result.tags)
    return result


def _name(shell: Shell, node: Node, frame: Frame, words: list[Word]) -> None:
    """Adds the word, or words, that a command begins with."""
    named = node.named_children
    if not named:
        words.append(Word(shell.text(node)))
        return
    first = named[0]
    kind = first.type
    if kind == "word":
        words.append(Word(unescaped(shell.text(first)), False, True))
        return
    word = word_of(shell, first, frame)
    # A variable outside quotes is cut into words.
    if word.plain and " " in word.text and kind in _EXPANSIONS:
        words += [word.reading(text) for text in word.text.split()]
    else:
        words.append(word)


def _assignment(shell: Shell, node: Node, frame: Frame) -> Flow:
    _assign(shell, node, frame)
    return NOTHING


def _assign(shell: Shell, node: Node, frame: Frame) -> tuple[str, Word]:
    name, value = "", Word("")
    for child in node.named_children:
        kind = child.type
        if not name and kind in ("variable_name", "subscript"):
            name = shell.text(child)
        elif kind == "array":
            _all(shell, child, frame)
            value = Word("", dynamic=True)
        else:
            value = word_of(shell, child, frame)
    if name:
        shell.variables[name] = None if value.dynamic else value.text
        if value.tags:
            shell.made["$" + name] = value.tags
    return name, value


def _declaration(shell: Shell, node: Node, frame: Frame) -> Flow:
    words: list[Word] = [Word(shell.text(node).split(None, 1)[0])]
    assigned: list[str] = []
    for child in node.named_children:
        if child.type == "variable_assignment":
            name, value = _assign(shell, child, frame)
            assigned.append(f"{name}={value.text}")
        else:
            words.append(word_of(shell, child, frame))
    return shell.run(words, assigned, frame)


def _function(shell: Shell, node: Node, frame: Frame) -> Flow:
    name = next((shell.text(child) for child in node.named_children if child.type == "word"), "")
    if name and re.search(re.escape(name) + r"\s*\|\s*" + re.escape(name) + r"\s*&", shell.text(node)):
        shell.ledger.shapes["fork_bomb"] = None
    _all(shell, node, frame)
    return NOTHING


def _loop(shell: Shell, node: Node, frame: Frame) -> Flow:
    values: list[Word] = []
    name = ""
    for child in node.named_children:
        kind = child.type
        if kind == "variable_name":
            name = shell.text(child)
        elif kind == "do_group":
            shell.variables[name] = values[0].text if len(values) == 1 and not values[0].dynamic else None
            _all(shell, child, frame)
        elif kind in WORD_NODES:
            values.append(word_of(shell, child, frame))
    return NOTHING


def _unset(shell: Shell, node: Node, _frame: Frame) -> Flow:
    for child in node.named_children:
        name = shell.text(child)
        shell.variables[name] = shell.variables.get(name)
    return NOTHING


def _lone_redirect(shell: Shell, node: Node, frame: Frame) -> Flow:
    """`$(<file)`, and a redirection without a command."""
    redirects = Redirects(NOTHING)
    redirects.add(shell, node, frame)
    return redirects.flow


def _nothing(_shell: Shell, _node: Node, _frame: Frame) -> Flow:
    return NOTHING


_STATEMENTS: Mapping[str, Callable[[Shell, Node, Frame], Flow]] = MappingProxyType(
    {
        "pipeline": _pipeline,
        "subshell": _apart,
        "command_substitution": _apart,
        "process_substitution": _apart,
        "redirected_statement": _redirected,
        "variable_assignment": _assignment,
        "declaration_command": _declaration,
        "command": _command,
        "function_definition": _function,
        "for_statement": _loop,
        "unset_command": _unset,
        "file_redirect": _lone_redirect,
        "comment": _nothing,
    }
)
