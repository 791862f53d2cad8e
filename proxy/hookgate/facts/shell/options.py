"""Options of a command, so that `-rf`, `-r -f` and `--recursive --force` look alike."""

import re

import msgspec

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
#: Their sub-commands have options of their own.
_OWN_OPTIONS = frozenset(["git", "kubectl", "docker"])
_NO_VALUES: frozenset[str] = frozenset()
_NO_NAMES: dict[str, str] = {}


class Options(msgspec.Struct, frozen=True):
    """The options of a command, its other words, and the options that have a value, with it."""

    flags: tuple[str, ...]
    operands: list[Word]
    values: list[tuple[str, Word]]


NO_OPTIONS = Options((), [], [])


def options_of(program: str, words: list[Word]) -> Options:
    """Gives the options among the words behind a program."""
    for word in words:
        if word.text[:1] == "-":
            return _Reader(program, words).read()
    return Options((), words, []) if words else NO_OPTIONS


class _Reader:
    """Reads the words of one command from left to right."""

    def __init__(self, program: str, words: list[Word]) -> None:
        self._words = words
        self._base = LIKE.get(program, program)
        self._takes = VALUES.get(self._base, _NO_VALUES)
        self._names = LONG.get(self._base, _NO_NAMES)
        self._one_dash = program in _ONE_DASH
        self._at = 0
        self._flags: dict[str, None] = {}
        self._operands: list[Word] = []
        self._values: list[tuple[str, Word]] = []

    def read(self) -> Options:
        """Gives the options."""
        words, count = self._words, len(self._words)
        while self._at < count:
            word = words[self._at]
            text = word.text
            self._at += 1
            if text == "--":
                self._operands += words[self._at :]
                break
            if len(text) < 2 or text[0] != "-":
                self._operand(word)
            elif text[1] == "-":
                self._long(word)
            elif self._one_dash or len(text) == 2 or not (text[:2] in self._takes or _CLUSTER.match(text)):
                self._single(word)
            else:
                self._cluster(word)
        return Options(tuple(self._flags), self._operands, self._values)

    def _operand(self, word: Word) -> None:
        self._operands.append(word)
        if len(self._operands) == 1 and self._base in _OWN_OPTIONS:
            key = f"{self._base} {word.text.lower()}"
            own = VALUES.get(key, _NO_VALUES)
            self._takes = own if self._base == "git" else self._takes | own
            self._names = LONG.get(key, self._names)

    def _long(self, word: Word) -> None:
        option, equals, value = word.text.partition("=")
        option = _whole(option, self._names)
        self._flags[option] = None
        if equals:
            self._values.append((option, word.reading(value)))
        elif option in self._takes:
            self._next(option)

    def _single(self, word: Word) -> None:
        option = word.text.partition("=")[0]
        self._flag(option)
        if option in self._takes:
            self._next(option)

    def _cluster(self, word: Word) -> None:
        text = word.text
        for place in range(1, len(text)):
            one = "-" + text[place]
            self._flag(one)
            if one in self._takes:
                if text[place + 1 :]:
                    self._values.append((one, word.reading(text[place + 1 :])))
                else:
                    self._next(one)
                break

    def _flag(self, option: str) -> None:
        self._flags[self._names.get(option, option)] = None
        self._flags[option] = None

    def _next(self, option: str) -> None:
        if self._at < len(self._words):
            self._values.append((option, self._words[self._at]))
            self._at += 1


def _whole(option: str, names: dict[str, str]) -> str:
    """Completes a long option that is shortened, as GNU's and git's readers do."""
    if len(option) < 4 or not names:
        return option
    longs = set(names.values())
    if option in longs:
        return option
    found = {long for long in longs if long.startswith(option)}
    return found.pop() if len(found) == 1 else names.get(option, option)
