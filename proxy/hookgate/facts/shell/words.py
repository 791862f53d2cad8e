"""Words as a shell makes them: quotes taken off, what is known put in, braces multiplied."""

import re

import msgspec

_ANSI = re.compile(
    r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3})|c(.)|(.))", re.DOTALL
)
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v"}
_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
#: Words that braces may make of one.
MAX_VARIANTS = 16
_RANGE = re.compile(r"\{([a-zA-Z]|-?\d{1,9})\.\.([a-zA-Z]|-?\d{1,9})\}")
#: Of a word. Doubling a variable a few times makes a longer one than any memory holds.
MAX_CHARACTERS = 65_536
NO_TAGS: frozenset[str] = frozenset()


class Word(msgspec.Struct, frozen=True, gc=False):
    """A word of a command line. `tags` say what flows into it from substitutions; `plain`: nothing of it stood in quotes."""

    text: str
    dynamic: bool = False
    plain: bool = False
    tags: frozenset[str] = NO_TAGS

    def reading(self, text: str) -> "Word":
        """Gives the word with another text."""
        return Word(text, self.dynamic, self.plain, self.tags)


def ansi_c(text: str) -> str:
    r"""Gives what stands between `$'` and `'`, its escapes made; also what `printf` and `echo -e` make of their text."""

    def made(match: re.Match[str]) -> str:
        for digits, base in ((match[1], 16), (match[2], 16), (match[3], 16), (match[4], 8)):
            if digits:
                code = int(digits, base)
                return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
        if match[5]:
            return chr(ord(match[5].upper()) & 0x1F)
        return _SIMPLE.get(match[6], match[6])

    return _ANSI.sub(made, text)


def hides(text: str) -> bool:
    """Whether escapes in an ANSI-C quoted text stand for what could have been written plainly."""
    return any(
        (match[1] or match[2] or match[3] or match[4]) and ansi_c(match[0]).isprintable()
        for match in _ANSI.finditer(text)
    )


def replaced(text: str, mark: str, value: str) -> str:
    """Puts a value in place of a mark, unless that makes the text very long."""
    if not mark or text.count(mark) * len(value) > MAX_CHARACTERS:
        return text
    return text.replace(mark, value)


def unescaped(text: str) -> str:
    """Takes backslashes off a word outside quotes."""
    if "\\" not in text:
        return text
    return re.sub(r"\\(.)", r"\1", text.replace("\\\n", ""), flags=re.DOTALL)


def braces(text: str) -> list[str]:
    """Gives what `a{b,c}` and `a{1..3}` become, up to 16 words; longer ranges stay as they are."""
    found = [text]
    while len(found) < MAX_VARIANTS:
        for at, one in enumerate(found):
            match = _BRACES.search(one)
            parts = match[1].split(",") if match else []
            if match is None and (match := _RANGE.search(one)):
                parts = _range(match[1], match[2])
            if match and parts:
                found[at : at + 1] = [one[: match.start()] + part + one[match.end() :] for part in parts]
                break
        else:
            return found
    return found[:MAX_VARIANTS]


def _range(first: str, last: str) -> list[str]:
    """Gives the parts of a range; none where there are too many, or it is none."""
    if first.isalpha() != last.isalpha():
        return []
    begin, end = (ord(first), ord(last)) if first.isalpha() else (int(first), int(last))
    if abs(end - begin) >= MAX_VARIANTS:
        return []
    step = 1 if end >= begin else -1
    return [chr(one) if first.isalpha() else str(one) for one in range(begin, end + step, step)]
