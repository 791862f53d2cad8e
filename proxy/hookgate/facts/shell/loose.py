"""A reader of command lines that never gives up: for what is no valid syntax, but may still run up to its fault."""

import re

from hookgate.facts.shell.words import Word

_TOKEN = re.compile(
    r"(?P<space>[ \t\r]+|\\\n|#[^\n]*(?<=\s)#)|(?P<cut>\|&|&&|\|\||;;|[;&|\n()`]|\$\(|(?<!\S)[{}](?!\S))|(?P<redirect>\d*(?:>>|>\||>&|<&|>|<))|"
    r"(?P<single>'[^']*'?)|(?P<double>\"(?:[^\"\\]|\\.)*\"?)|(?P<escape>\\.)|(?P<text>[^\s\\'\"|&;()`<>$]+|.)",
    re.DOTALL,
)
_KEYWORDS = frozenset(
    [
        "if",
        "then",
        "else",
        "elif",
        "fi",
        "do",
        "done",
        "while",
        "until",
        "for",
        "in",
        "case",
        "esac",
        "time",
        "!",
        "{",
        "}",
        "function",
        "select",
        "coproc",
        "[[",
        "]]",
    ]
)


def loose_commands(text: str) -> list[list[Word]]:
    """Gives the commands of a text as lists of words, cut at whatever may end one; a quote that is never closed ends with the text."""
    found: list[list[Word]] = []
    words: list[Word] = []
    parts: list[str] = []
    target = dynamic = False

    def end_word() -> None:
        nonlocal target, dynamic
        if parts:
            word = "".join(parts)
            if not target and not (not words and word in _KEYWORDS):
                words.append(Word(word, dynamic))
            parts.clear()
            target = dynamic = False

    for match in _TOKEN.finditer(text):
        kind, token = match.lastgroup, match[0]
        if kind == "space":
            end_word()
        elif kind == "cut":
            end_word()
            if words:
                found.append(words)
                words = []
        elif kind == "redirect":
            end_word()
            target = True
        elif kind == "single":
            parts.append(token.strip("'"))
        elif kind == "double":
            parts.append(token.strip('"'))
        elif kind == "escape":
            parts.append(token[1:])
        else:
            dynamic = dynamic or token == "$"  # noqa: S105 (no secret)
            parts.append(token)
    end_word()
    if words:
        found.append(words)
    return found
