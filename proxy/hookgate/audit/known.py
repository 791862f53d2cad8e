"""Secrets of a record that were found where their names stood, to be found again where they stand without.

Facts take a command line apart: an option's value becomes an operand, a key of several lines some words, a program's name is
in small letters.
"""

import re
from collections.abc import Callable
from typing import Any

import re2

#: From this length on a secret is looked for as a whole text, and from these on within texts: a secret, and a word of one.
_WHOLE_CHARACTERS, _WITHIN_CHARACTERS, _WORD_CHARACTERS = 4, 6, 8
#: Of a longer one the beginning is looked for, and what follows it up to a space.
_LONG_CHARACTERS = 256
_MOST = 200
#: Between the words of a secret; line ends may be escaped.
_BETWEEN = re.compile(r"""(?:\\+[nrt]|[\s\\"'])+""")


class Known:
    """Secrets with the marks that replace them."""

    def __init__(self) -> None:
        self._marks: dict[str, str] = {}
        self._whole: list[str] = []
        self._within: list[str] = []
        self._pattern: Any = None
        #: Whether there was one, however short.
        self.has_any = False

    def add(self, secret: str, mark: str) -> None:
        """Takes a secret."""
        self.has_any = True
        # As the texts are that it is looked for in.
        secret = secret.encode("utf-8", "backslashreplace").decode("utf-8")
        if len(secret) < _WHOLE_CHARACTERS:
            return
        self._take(secret, mark, self._within if len(secret) >= _WITHIN_CHARACTERS else self._whole)
        words = _BETWEEN.split(secret)
        for word in words if len(words) > 1 else ():
            if len(word) >= _WORD_CHARACTERS:
                self._take(word, mark, self._within)

    def in_text(self, text: str) -> bool:
        """Whether any of them stands in a text, in large or small letters."""
        pattern = self._compiled()
        return pattern is not None and pattern.search(text) is not None

    def replaced(self, text: str, stand_in: Callable[[str], str]) -> str:
        """Gives a text in which `stand_in(mark)` stands for each of them."""
        pattern = self._compiled()
        if pattern is None:
            return text
        found: str = pattern.sub(lambda match: stand_in(self._marks.get(match.group(0).lower(), "[redacted]")), text)
        return found

    def _take(self, secret: str, mark: str, kind: list[str]) -> None:
        key = secret.lower()
        if key not in self._marks and len(self._marks) < _MOST:
            self._marks[key] = mark
            kind.append(secret)
            self._pattern = None

    def _compiled(self) -> Any:
        if self._pattern is None and self._marks:
            # The longest first: what begins alike is taken as a whole.
            forms = [_form(one) for one in sorted(self._within, key=len, reverse=True)]
            if self._whole:
                forms.append(f"^(?:{'|'.join(map(re2.escape, self._whole))})$")
            options = re2.Options()
            options.max_mem = 64 << 20
            self._pattern = re2.compile(f"(?i){'|'.join(forms)}", options)
        return self._pattern


def _form(secret: str) -> str:
    escaped: str = re2.escape(secret[:_LONG_CHARACTERS])
    return escaped if len(secret) <= _LONG_CHARACTERS else rf"{escaped}\S*"
