"""One word of the syntax tree may be several for the program: variables outside quotes, arrays, braces."""

import re

from tree_sitter import Node

from hookgate.facts.shell.expansion import word_of
from hookgate.facts.shell.frame import Frame
from hookgate.facts.shell.state import Shell
from hookgate.facts.shell.words import MAX_VARIANTS, Word, braces

_CUT = frozenset(["simple_expansion", "expansion", "concatenation", "command_substitution"])
_ARRAY = re.compile(r"^\"?\$(?:\{(\w+)\[[@*]\]\}|([@*])|\{([@*])\})\"?$")
_MAX_WORDS = 256


def words_of(shell: Shell, node: Node, frame: Frame) -> list[Word]:
    """Gives the words that a node becomes on a command's line. Raises Unreadable: too_deep, too_complex."""
    kind = node.type
    if kind in ("expansion", "simple_expansion", "string") and (found := _array(shell, node)) is not None:
        return found
    word = word_of(shell, node, frame)
    if not word.plain:
        return [word]
    if (kind in _CUT and "$" in (written := shell.text(node))) or kind == "command_substitution":
        words = _cut(shell, word, written)
    else:
        words = [word]
    if "{" in word.text:
        words = [one for each in words for one in multiplied(shell, each)]
    return words


def multiplied(shell: Shell, word: Word) -> list[Word]:
    """Gives what the braces in a word make of it."""
    found = braces(word.text)
    if len(found) >= MAX_VARIANTS:
        shell.ledger.reasons["too_many_arguments"] = None
    return [word] if len(found) == 1 else [word.reading(text) for text in found]


def _cut(shell: Shell, word: Word, written: str) -> list[Word]:
    text = word.text
    separators = shell.variables.get("IFS")
    if separators:
        text = text.translate({ord(one): " " for one in separators})
    if "\\" in written or not any(one in text for one in " \t\n"):
        # An escaped space cuts nothing; a word that has both is left whole.
        return [word]
    return [word.reading(one) for one in text.split()[:_MAX_WORDS]] or [word.reading("")]


def _array(shell: Shell, node: Node) -> list[Word] | None:
    """Gives the words of an array, or of the positional parameters, where they are known."""
    if not shell.arrays:
        return None
    match = _ARRAY.match(shell.text(node))
    if match is None:
        return None
    found = shell.arrays.get(match[1] or "@")
    if found:
        shell.budget.spend(len(found))
    return found
