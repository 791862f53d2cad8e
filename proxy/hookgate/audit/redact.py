"""Secrets taken out of records before anything is written.

What replaces one is `[redacted:kind:digest]`. The digest is keyed: equal secrets are recognised, but none can be found by
trying.
"""

import hashlib
import hmac
from functools import partial
from typing import Any

import re2

from hookgate.audit.secrets import FORMS, HINT, SECRET_NAME

#: Longer strings are cut, after what they hold has been redacted.
CUT_CHARACTERS = 2000
#: How much of a long string is looked at: a secret that begins before the cut ends before this, or needs no end.
_WINDOW_CHARACTERS = CUT_CHARACTERS + 4096
#: Records up to this size are kept whole, if nothing in them looks like a secret.
SMALL_BYTES = 8192
#: Strings of one record that are kept; a call with more of them keeps their number.
_MAX_STRINGS = 2000
_DIGEST_CHARACTERS = 12
#: Around the number of a mark while the forms are looked for; private-use characters, taken out of the text first.
_OPEN, _CLOSE, _UNKNOWN = "\ue000", "\ue001", "\ufffd"


class Redactor:
    """Takes secrets out of JSON values. `key` keys the digests (32 bytes)."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        options = re2.Options()
        options.max_mem = 64 << 20
        self._hint = re2.compile(HINT, options)
        self._line_hint = re2.compile(HINT.encode(), options)
        self._name = re2.compile(SECRET_NAME, options)
        self._forms = [(form.kind, re2.compile(form.pattern, options)) for form in FORMS]

    def suspects(self, line: bytes) -> bool:
        """Whether an encoded record could hold a secret, or is so long that strings have to be cut."""
        return len(line) > SMALL_BYTES or self._line_hint.search(line) is not None

    def redacted(self, value: dict[str, Any]) -> dict[str, Any]:
        """Gives a JSON object without secrets, its long strings cut; each member has a budget of its own."""
        return {key: self._member(key, item, _Budget()) for key, item in value.items()}

    def text(self, text: str) -> str:
        """Gives a text without secrets, cut at a bound with a mark that says how long it was."""
        window = text[:_WINDOW_CHARACTERS]
        if not window.isascii():
            # A lone surrogate has no UTF-8 form, and RE2 reads nothing else.
            window = window.encode("utf-8", "backslashreplace").decode("utf-8")
        if self._hint.search(window):
            window = self._without_secrets(window)
        if len(window) <= CUT_CHARACTERS and len(text) <= _WINDOW_CHARACTERS:
            return window
        return f"{window[:CUT_CHARACTERS]}… (cut, {len(text)} characters)"

    def _without_secrets(self, text: str) -> str:
        """Puts a stand-in for each secret first, so that no form takes another's mark for a secret."""
        marks: list[str] = []
        text = text.replace(_OPEN, _UNKNOWN).replace(_CLOSE, _UNKNOWN)
        for kind, pattern in self._forms:
            text = pattern.sub(partial(self._replaced, kind, marks), text)
        for index, mark in enumerate(marks):
            text = text.replace(f"{_OPEN}{index}{_CLOSE}", mark)
        return text

    def _value(self, value: Any, budget: "_Budget") -> Any:
        if isinstance(value, str):
            return self.text(value) if budget.spend() else "(left out)"
        if isinstance(value, dict):
            return {self.text(key): self._member(key, item, budget) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._value(item, budget) for item in value]
        return value

    def _member(self, key: str, item: Any, budget: "_Budget") -> Any:
        """A field whose name says that it is secret is replaced whole."""
        if isinstance(item, str | int | float) and not isinstance(item, bool) and item and self._name.search(key):
            return self._mark("named", str(item))
        return self._value(item, budget)

    def _replaced(self, kind: str, marks: list[str], match: Any) -> str:
        whole: str = match.group(0)
        begin, end = next(
            (match.span(group) for group in range(1, match.re.groups + 1) if match.start(group) >= 0), match.span()
        )
        begin, end = begin - match.start(), end - match.start()
        secret = whole[begin:end]
        if _OPEN in secret or (kind == "named" and secret.isdecimal() and "tokens" in whole.lower()):
            return whole
        marks.append(self._mark(kind, secret))
        return f"{whole[:begin]}{_OPEN}{len(marks) - 1}{_CLOSE}{whole[end:]}"

    def _mark(self, kind: str, secret: str) -> str:
        digest = hmac.new(self._key, secret.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        return f"[redacted:{kind}:{digest[:_DIGEST_CHARACTERS]}]"


class _Budget:
    """How many strings of a record are still kept."""

    def __init__(self) -> None:
        self._left = _MAX_STRINGS

    def spend(self) -> bool:
        self._left -= 1
        return self._left >= 0
