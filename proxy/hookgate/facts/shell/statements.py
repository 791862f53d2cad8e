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
from hookgate.facts.shell.splitting import multiplied, words_of
from hookgate.facts.shell.state import Shell
from hookgate.facts.shell.steering import note_standing
from hookgate.facts.shell.words import NO_TAGS, Word, unescaped

_MAX_TURNS = 16


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
            text = shell.text(child)
            if "\\" in text or "{" in text:
                _add(shell, text, words)
            else:
                words.append(Word(text, False, True))
        elif kind == "command_name":
            named = child.named_children
            if not named:
                words.append(Word(shell.text(child)))
            elif named[0].type == "word":
                _add(shell, shell.text(named[0]), words)
            else:
                words += words_of(shell, named[0], frame)
        elif kind == "variable_assignment" and not words:
            if not assigned:
                shell.variables = dict(before)
            name, value = _assign(shell, child, frame)
            assigned.append(f"{name}={value.text}")
        elif kind in REDIRECTS:
            redirects = redirects or Redirects(frame.flow)
            redirects.add(shell, child, frame)
        else:
            words += words_of(shell, child, frame)
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


def _add(shell: Shell, text: str, words: list[Word]) -> None:
    """Adds a plain word, which braces may make several."""
    word = Word(unescaped(text), False, True)
    if "{" in word.text:
        words += multiplied(shell, word)
    else:
        words.append(word)


def _compound(shell: Shell, node: Node, frame: Frame) -> Flow:
    """`{ a; b; }`; where no space follows the brace, the shell takes `{a,b}` for a word."""
    if shell.source[node.start_byte + 1 : node.start_byte + 2].isspace():
        return _all(shell, node, frame)
    words = multiplied(shell, Word(unescaped(shell.text(node)), False, True))
    return shell.run(words, [], frame) if len(words) > 1 else _all(shell, node, frame)


def _assignment(shell: Shell, node: Node, frame: Frame) -> Flow:
    name, value = _assign(shell, node, frame)
    note_standing(shell, name, value.text, frame)
    return NOTHING


def _assign(shell: Shell, node: Node, frame: Frame) -> tuple[str, Word]:
    name, value = "", Word("")
    for child in node.named_children:
        kind = child.type
        if not name and kind == "variable_name":
            name = shell.text(child)
        elif not name and kind == "subscript":
            # An index is computed: a substitution in it runs.
            name = shell.text(child)
            _all(shell, child, frame)
        elif kind == "array":
            words = [word for one in child.named_children for word in words_of(shell, one, frame)]
            shell.arrays[name] = words
            value = words[0] if words else Word("")
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
            words += words_of(shell, child, frame)
    return shell.run(words, assigned, frame)


def _function(shell: Shell, node: Node, frame: Frame) -> Flow:
    name = next((shell.text(child) for child in node.named_children if child.type == "word"), "")
    if name and re.search(re.escape(name) + r"\s*\|\s*" + re.escape(name) + r"\s*&", shell.text(node)):
        shell.ledger.shapes["fork_bomb"] = None
    _all(shell, node, frame)
    return NOTHING


def _loop(shell: Shell, node: Node, frame: Frame) -> Flow:
    """The body is read for each value, where there are few and all are known."""
    values: list[Word] = []
    name = ""
    for child in node.named_children:
        kind = child.type
        if kind == "variable_name":
            name = shell.text(child)
        elif kind == "do_group":
            _body(shell, child, name, values, frame)
        elif kind in WORD_NODES:
            values += words_of(shell, child, frame)
    return NOTHING


def _body(shell: Shell, node: Node, name: str, values: list[Word], frame: Frame) -> None:
    turns = shell.turns
    if not values or turns * len(values) > _MAX_TURNS or any(word.dynamic for word in values):
        shell.variables[name] = values[0].text if len(values) == 1 and not values[0].dynamic else None
        _all(shell, node, frame)
        return
    commands = shell.ledger.commands
    begin = len(commands)
    shell.turns = turns * len(values)
    for word in values:
        shell.variables[name] = word.text
        _all(shell, node, frame)
    shell.turns = turns
    # What does not hang on the value is told once.
    commands[begin:] = dict.fromkeys(commands[begin:])


def _unset(shell: Shell, node: Node, frame: Frame) -> Flow:
    names = [shell.text(child) for child in node.named_children]
    for name in names:
        shell.variables[name] = shell.variables.get(name)
    return shell.run([Word("unset"), *(Word(name) for name in names)], [], frame)


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
        "compound_statement": _compound,
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
