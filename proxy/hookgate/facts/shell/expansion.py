"""Words of the syntax tree: quotes taken off, and what is known of variables and substitutions put in."""

import re

from tree_sitter import Node

from hookgate.facts.shell.flow import NOTHING
from hookgate.facts.shell.frame import Frame
from hookgate.facts.shell.grammar import MAX_DEPTH, Unreadable
from hookgate.facts.shell.state import Shell
from hookgate.facts.shell.words import MAX_CHARACTERS, NO_TAGS, Word, ansi_c, hides, unescaped

#: Nodes that are a word or a part of one.
WORD_NODES = frozenset(
    [
        "word", "string", "raw_string", "ansi_c_string", "concatenation", "number", "simple_expansion", "expansion",
        "command_substitution", "process_substitution", "arithmetic_expansion", "brace_expression", "extglob_pattern",
        "translated_string", "regex", "variable_name", "special_variable_name", "test_operator", "string_content",
    ]
)  # fmt: skip
_JOINED = frozenset(["string", "concatenation", "translated_string", "command_name"])
_SUBSTITUTIONS = frozenset(["command_substitution", "process_substitution"])
#: Nothing, unless somebody sets them.
_NO_ARGUMENTS = ("$@", "$*")
_EXPANSION = re.compile(r"^\$\{(\w+)(:?[-+=?])?")
#: An element, or all of an array, as it is.
_ELEMENT = re.compile(r"^\$\{\w+\[(?:\w+|[@*])\]\}$")
_QUOTED_ESCAPE = re.compile(r"\\([$`\"\\])")
#: Variables with a value that is the same for everybody, or known from the call.
_STANDARD = {"HOME": "~", "TMPDIR": "/tmp", "IFS": " "}  # noqa: S108 (as text)


def word_of(shell: Shell, node: Node, frame: Frame) -> Word:
    """Gives the word at a node. Raises Unreadable: too_deep, too_complex."""
    shell.budget.spend()
    kind = node.type
    if kind == "word":
        return Word(unescaped(shell.text(node)), False, True)
    if kind == "raw_string":
        return Word(shell.text(node)[1:-1])
    if kind == "string_content" or kind == "variable_name":  # noqa: PLR1714 (the hot path: no set is made)
        return Word(shell.text(node))
    if kind == "number":
        return Word(shell.text(node), False, True)
    if kind == "simple_expansion":
        return _variable(shell, shell.text(node)[1:])
    if kind in _JOINED:
        return _joined(shell, node, frame)
    if kind == "expansion":
        return _expansion(shell, node, frame)
    if kind == "ansi_c_string":
        text = shell.text(node)[2:-1]
        if hides(text):
            shell.ledger.reasons["ansi_quoting"] = None
        return Word(ansi_c(text))
    if kind in _SUBSTITUTIONS:
        return _substitution(shell, node, frame)
    for child in node.named_children:
        shell.visit(child, frame)
    return Word(shell.text(node), kind == "arithmetic_expansion", True)


def _substitution(shell: Shell, node: Node, frame: Frame) -> Word:
    flow = shell.visit(node, frame.fed(NOTHING))
    if node.type == "process_substitution":
        return Word("/dev/fd/$", True, False, flow.tags)
    if flow.text is not None and "\0" not in flow.text:
        return Word(flow.text.rstrip("\n"), False, True, flow.tags)
    return Word("$()", True, False, flow.tags)


def _joined(shell: Shell, node: Node, frame: Frame) -> Word:
    children = node.named_children
    quoted = node.type == "string"
    at = node.start_byte
    if quoted:
        only_text = not children or (len(children) == 1 and children[0].type == "string_content")
        if only_text and not node.has_error:
            # By far the most.
            shell.budget.spend()
            return Word(_in_quotes(shell.source[at + 1 : node.end_byte - 1].decode("utf-8", "replace")))
        at += 1
    if shell.depth > MAX_DEPTH:
        raise Unreadable("too_deep")
    if node.type == "translated_string" and children:
        return word_of(shell, children[0], frame)
    end = node.end_byte - 1 if quoted else node.end_byte
    source = shell.source
    parts: list[str] = []
    dynamic, plain, tags = False, not quoted, NO_TAGS
    shell.depth += 1
    for child in children:
        # Spaces between the parts of a text belong to it, and are no node.
        if child.start_byte > at:
            parts.append(source[at : child.start_byte].decode("utf-8", "replace"))
        word = word_of(shell, child, frame)
        if word.text in _NO_ARGUMENTS and not quoted and "@" not in shell.arrays:
            word = Word("", False, True)
        at = child.end_byte
        parts.append(_in_quotes(word.text) if child.type == "string_content" else word.text)
        dynamic, plain = dynamic or word.dynamic, plain and word.plain
        if word.tags:
            tags |= word.tags
    shell.depth -= 1
    if at < end:
        parts.append(source[at:end].decode("utf-8", "replace"))
    if sum(map(len, parts)) > MAX_CHARACTERS:
        raise Unreadable("too_long")
    return Word("".join(parts), dynamic, plain, tags)


def _variable(shell: Shell, name: str) -> Word:
    tags = shell.origin("$" + name)
    if name in shell.variables:
        value = shell.variables[name]
        return Word(f"${name}", True, True, tags) if value is None else Word(value, False, True, tags)
    if name in _STANDARD:
        return Word(_STANDARD[name], False, True)
    if name == "PWD":
        return Word(shell.cwd, False, True)
    return Word(f"${name}", True, True, tags)


def _expansion(shell: Shell, node: Node, frame: Frame) -> Word:
    """`${name}`, `${name:-word}` and their kin; those that compute are dynamic."""
    written = shell.text(node)
    match = _EXPANSION.match(written)
    if shell.depth > MAX_DEPTH:
        raise Unreadable("too_deep")
    shell.depth += 1
    words = [word_of(shell, child, frame) for child in node.named_children[1:]]
    shell.depth -= 1
    if match is None:
        return Word(written, True, True)
    name, operator = match[1], match[2]
    known = _variable(shell, name)
    if written == f"${{{name}}}":
        return known.reading(f"${name}") if known.dynamic else known
    if _ELEMENT.match(written):
        return Word(f"${name}", True, True, known.tags)
    if not operator:
        return Word(f"${{{name}}}", True, True, known.tags)
    other = written[match.end() : -1]
    is_set = name in shell.variables or name in ("HOME", "PWD")
    if operator.endswith("+"):
        return Word(other, False, True) if is_set else Word("", True)
    return known if is_set and not known.dynamic else Word(other, any(word.dynamic for word in words))


def _in_quotes(text: str) -> str:
    return _QUOTED_ESCAPE.sub(r"\1", text.replace("\\\n", "")) if "\\" in text else text
