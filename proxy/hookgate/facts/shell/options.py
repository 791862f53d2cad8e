"""Options of a command, so that `-rf`, `-r -f` and `--recursive --force` look alike."""

import re
from typing import NamedTuple

from hookgate.facts.shell.programs import LIKE, LONG, VALUES
from hookgate.facts.shell.words import Word

_CLUSTER = re.compile(r"^-[A-Za-z0-9]{2,}$")
#: Programs whose long options have one dash.
_ONE_DASH = frozenset(
    [
        "find",
        "java",
        "javac",
        "terraform",
        "tofu",
        "go",
        "openssl",
        "ffmpeg",
        "gcc",
        "g++",
        "clang",
        "ld",
        "nmap",
        "xset",
        "convert",
        "magick",
        "java",
        "dotnet",
        "ant",
    ]
)
_NO_VALUES: frozenset[str] = frozenset()
_NO_NAMES: dict[str, str] = {}


class Options(NamedTuple):
    """The options of a command, its other words, and the options that have a value, with it."""

    flags: tuple[str, ...]
    operands: list[Word]
    values: list[tuple[str, Word]]


def options_of(program: str, words: list[Word]) -> Options:
    """Gives the options among the words behind a program."""
    base = LIKE.get(program, program)
    takes, names = VALUES.get(base, _NO_VALUES), LONG.get(base, _NO_NAMES)
    flags: dict[str, None] = {}
    operands: list[Word] = []
    values: list[tuple[str, Word]] = []
    at, count = 0, len(words)
    while at < count:
        word = words[at]
        text = word.text
        at += 1
        if text == "--":
            operands += words[at:]
            break
        if len(text) < 2 or text[0] != "-":
            operands.append(word)
            if len(operands) == 1 and base in ("git", "kubectl", "docker"):
                key = f"{base} {text.lower()}"
                takes = takes | VALUES.get(key, _NO_VALUES) if base != "git" else VALUES.get(key, _NO_VALUES)
                names = LONG.get(key, names)
            continue
        option, equals, value = text.partition("=")
        if text.startswith("--"):
            option = _whole(option, names)
            flags[option] = None
            if equals:
                values.append((option, word._replace(text=value)))
            elif option in takes and at < count:
                values.append((option, words[at]))
                at += 1
            continue
        if program in _ONE_DASH or not (_CLUSTER.match(text) or text[:2] in takes):
            flags[names.get(option, option)] = None
            if option in names:
                flags[option] = None
            if option in takes and at < count:
                values.append((option, words[at]))
                at += 1
            continue
        for place in range(1, len(text)):
            one = "-" + text[place]
            flags[names.get(one, one)] = None
            flags[one] = None
            if one in takes:
                rest = text[place + 1 :]
                if rest:
                    values.append((one, word._replace(text=rest)))
                elif at < count:
                    values.append((one, words[at]))
                    at += 1
                break
    return Options(tuple(flags), operands, values)


def _whole(option: str, names: dict[str, str]) -> str:
    """Completes a long option that is shortened, as GNU's and git's readers do."""
    if len(option) < 4 or not names:
        return option
    longs = set(names.values())
    if option in longs:
        return option
    found = {long for long in longs if long.startswith(option)}
    return found.pop() if len(found) == 1 else names.get(option, option)
