"""Secrets taken out of records before anything is written.

What replaces one is `[redacted:kind:digest]`. The digest is keyed: equal secrets are recognised, but none can be found by
trying.
"""

import hashlib
import hmac
import re
from functools import partial
from typing import Any

import re2

from hookgate.audit.record import DroppedRecord, OutputRecord
from hookgate.audit.secrets import FORMS, HINT, SECRET_NAME

#: Longer strings are cut, after what they hold has been redacted.
CUT_CHARACTERS = 2000
#: How much of a long string is looked at: a secret that begins before the cut ends before this, or needs no end.
_WINDOW_CHARACTERS = CUT_CHARACTERS + 4096
#: Records up to this size are kept whole, if nothing in them looks like a secret.
SMALL_BYTES = 8192
#: What is kept of one field of a record, so that no input makes redaction take long: strings and names of members, their
#: characters as looked at, strings that look as if they held a secret, secrets whose digest is told.
_MAX_STRINGS = 2000
_MAX_CHARACTERS = 64 * 1024
_MAX_SUSPECTS = 200
_MAX_DIGESTS = 100
_LEFT_OUT = "(left out)"
#: Names of members that a record itself is made of.
_STRUCTURE = frozenset((*OutputRecord.__struct_fields__, *DroppedRecord.__struct_fields__))
_DIGEST_CHARACTERS = 12
#: Around the number of a mark while the forms are looked for; private-use characters, taken out of the text first.
_OPEN, _CLOSE, _UNKNOWN = "\ue000", "\ue001", "\ufffd"
_MARKED = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")


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

    def text(self, text: str, budget: "_Budget | None" = None) -> str:
        """Gives a text without secrets, cut at a bound with a mark that says how long it was; beyond the budget, not even
        that."""
        budget = budget or _Budget()
        if not budget.spend(text):
            return _LEFT_OUT
        window = text[:_WINDOW_CHARACTERS]
        if not window.isascii():
            # A lone surrogate has no UTF-8 form, and RE2 reads nothing else.
            window = window.encode("utf-8", "backslashreplace").decode("utf-8")
        if self._hint.search(window):
            if budget.spent or not budget.suspect():
                return _LEFT_OUT
            window = self._without_secrets(window, budget)
        if len(window) <= CUT_CHARACTERS and len(text) <= _WINDOW_CHARACTERS:
            return window
        return f"{window[:CUT_CHARACTERS]}… (cut, {len(text)} characters)"

    def _without_secrets(self, text: str, budget: "_Budget") -> str:
        """Puts a stand-in for each secret first, so that no form takes another's mark for a secret."""
        marks: list[str] = []
        text = text.replace(_OPEN, _UNKNOWN).replace(_CLOSE, _UNKNOWN)
        for kind, pattern in self._forms:
            text = pattern.sub(partial(self._replaced, kind, marks, budget), text)
            if budget.spent:
                # A text that is mostly secrets tells nobody anything, and takes long.
                return _LEFT_OUT
        return _MARKED.sub(lambda match: marks[int(match.group(1))], text)

    def _value(self, value: Any, budget: "_Budget") -> Any:
        if isinstance(value, str):
            return self.text(value, budget)
        if isinstance(value, dict):
            kept: dict[str, Any] = {}
            for key, item in value.items():
                if key not in _STRUCTURE and budget.exhausted:
                    kept[_LEFT_OUT] = f"{len(value) - len(kept)} more"
                    break
                name = key if key in _STRUCTURE else self.text(key, budget)
                kept[name] = self._member(key, item, budget)
            return kept
        if isinstance(value, list | tuple):
            return [self._value(item, budget) for item in value]
        return value

    def _member(self, key: str, item: Any, budget: "_Budget") -> Any:
        """A field whose name says that it is secret is replaced whole."""
        if (
            isinstance(item, str | int | float)
            and not isinstance(item, bool)
            and item
            and self._name.search(key[:_WINDOW_CHARACTERS])
        ):
            return self._mark("named", str(item), budget)
        return self._value(item, budget)

    def _replaced(self, kind: str, marks: list[str], budget: "_Budget", match: Any) -> str:
        whole: str = match.group(0)
        if budget.spent:
            return whole
        begin, end = next(
            (match.span(group) for group in range(1, match.re.groups + 1) if match.start(group) >= 0), match.span()
        )
        begin, end = begin - match.start(), end - match.start()
        secret = whole[begin:end]
        if _OPEN in secret or (kind == "named" and secret.isdecimal() and "tokens" in whole.lower()):
            return whole
        marks.append(self._mark(kind, secret, budget))
        return f"{whole[:begin]}{_OPEN}{len(marks) - 1}{_CLOSE}{whole[end:]}"

    def _mark(self, kind: str, secret: str, budget: "_Budget") -> str:
        if not budget.digest():
            return f"[redacted:{kind}]"
        digest = hmac.new(self._key, secret.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        return f"[redacted:{kind}:{digest[:_DIGEST_CHARACTERS]}]"


class _Budget:
    """What of a field is still kept."""

    def __init__(self) -> None:
        self._strings, self._characters = _MAX_STRINGS, _MAX_CHARACTERS
        self._suspects, self._digests = _MAX_SUSPECTS, _MAX_DIGESTS

    @property
    def exhausted(self) -> bool:
        return self._strings <= 0 or self._characters <= 0

    @property
    def spent(self) -> bool:
        return self._digests < 0

    def spend(self, text: str) -> bool:
        if self.exhausted:
            return False
        self._strings -= 1
        self._characters -= min(len(text), _WINDOW_CHARACTERS)
        return True

    def suspect(self) -> bool:
        self._suspects -= 1
        return self._suspects >= 0

    def digest(self) -> bool:
        self._digests -= 1
        return self._digests >= 0
