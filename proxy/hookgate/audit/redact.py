"""Secrets taken out of records before anything is written.

What replaces one is `[redacted:kind:digest]`. The digest is keyed: equal secrets are recognised, but none can be found by
trying.
"""

import re
from functools import partial
from typing import Any

import re2

from hookgate.audit.digest import Digests, Purpose
from hookgate.audit.known import Known
from hookgate.audit.record import CallRecord, DroppedRecord, OutputRecord
from hookgate.audit.secrets import FORMS, HINT, SECRET_NAME, name_pattern, named_forms
from hookgate.config.audit import Redaction

#: Longer strings are cut, after what they hold has been redacted.
CUT_CHARACTERS = 2000
#: How much behind the cut is looked at: a secret that begins before it ends within so much, or needs no end. Forms that are
#: configured may need one.
_BEHIND_CHARACTERS, _BEHIND_FOR_OWN_CHARACTERS = 4096, 32 * 1024
#: Records up to this size are kept whole, if nothing in them looks like a secret; of a larger call's, what is not the tool's input.
SMALL_BYTES = 8192
#: What is kept of one field of a record, so that no input makes redaction take long: strings and names of members, their
#: characters as looked at, strings that look as if they held a secret, secrets whose digest is told.
_MAX_STRINGS = 2000
_MAX_CHARACTERS = 64 * 1024
_MAX_SUSPECTS = 200
_MAX_DIGESTS = 100
_LEFT_OUT = "(left out)"
_MAX_NAME_CHARACTERS = 6096
#: Names of members that a record itself is made of.
_STRUCTURE = frozenset(name for kind in (OutputRecord, DroppedRecord, CallRecord) for name in kind.__struct_fields__)
#: How a record says where an identity comes from.
_SOURCE, _OUR_SOURCES = b'"source":"', (b'"source":"jwt",', b'"source":"token",')
#: Fields that hold nothing of what a caller sent.
_OURS = frozenset(
    (
        *(
            "version",
            "type",
            "id",
            "time",
            "instance",
            "host",
            "outcome",
            "mode",
            "level",
            "cut",
            "failed",
            "interrupted",
        ),
        *("body_bytes", "body_digest", "input_digest", "changed_digest", "response_bytes", "response_digest"),
        *("verified", "ran_seconds", "unenforceable", "pdp_seconds", "total_seconds"),
    )
)
#: Fields that repeat what others hold, word by word and without the names that stood beside. The others are left as they
#: are: nobody hides the tool of a call from a search by passing its name as a password.
_REPEATING = frozenset(("facts", "outputs", "reason", "answer", "would_answer"))
#: Members that name a value beside them, as environment variables are often given.
_NAMING, _NAMED_VALUE = ("name", "key"), "value"
#: As much of a digest as is told.
DIGEST_CHARACTERS, CUT_DIGEST_CHARACTERS = 12, 32
#: Around the number of a mark while the forms are looked for; private-use characters, taken out of the text first.
_OPEN, _CLOSE, _UNKNOWN = "\ue000", "\ue001", "\ufffd"
_MARKED = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.\- ]+")


class Redactor:
    """Takes secrets out of JSON values. `key` is that of the journal's directory (32 bytes); `more` are names and forms of
    secrets besides those that are known."""

    def __init__(self, key: bytes, more: Redaction = Redaction()) -> None:  # noqa: B008 (frozen)
        self._digests = Digests(key)
        options = re2.Options()
        options.max_mem = 64 << 20
        names = f"|{name_pattern(more.names)}" if more.names else ""
        self._hint = re2.compile(HINT + names, options)
        self._line_hint = re2.compile((HINT + names).encode(), options)
        self._name = re2.compile(SECRET_NAME + names, options)
        self._option = re2.compile(rf"^--?[A-Za-z0-9-]*(?:{SECRET_NAME}{names})", options)
        self._own = [(form.kind, re2.compile(form.pattern, options)) for form in more.forms]
        known = [(form.kind, re2.compile(form.pattern, options)) for form in (*FORMS, *named_forms(more.names))]
        self._forms = self._own + known
        self._window = CUT_CHARACTERS + (_BEHIND_FOR_OWN_CHARACTERS if self._own else _BEHIND_CHARACTERS)
        #: What is looked for can be seen in an encoded record, too.
        self._seen_encoded = not self._own and all(_PLAIN_NAME.fullmatch(name) for name in more.names)

    def suspects(self, line: bytes) -> bool:
        """Whether an encoded record could hold a secret, or is so long that strings have to be cut."""
        if len(line) > SMALL_BYTES or not self._seen_encoded:
            return True
        # Each verified record says by what, in a word that is one for a secret, too. What is before it holds no other member of
        # that name, and the quotes of a caller's text are escaped.
        at = line.find(_SOURCE)
        for ours in _OUR_SOURCES:
            if at >= 0 and line.startswith(ours, at):
                line = line[:at] + line[at + len(ours) :]
        return self._line_hint.search(line) is not None

    def redacted(
        self, value: dict[str, Any], cut: list[str] | None = None, known: Known | None = None
    ) -> dict[str, Any]:
        """Gives a record without secrets, its long strings cut; each field has a budget of its own. Names of fields in which
        something was cut or left out are added to `cut`, and secrets that were found to `known`."""
        clean: dict[str, Any] = {}
        known = known or Known()
        # What a call brought is read first: there a secret stands beside what names it.
        for name in sorted(value, key=_REPEATING.__contains__):
            item, budget = value[name], Budget(known, repeating=name in _REPEATING)
            if name in _OURS:
                clean[name] = item
            elif name == "content_bytes":
                clean[name] = {self.text(key, budget): size for key, size in item.items()}
            else:
                clean[name] = self._member(name, item, budget)
            if name == "input":
                self._learn(item, known)
            if name == "facts":
                _drop_letters(item, clean[name])
            if cut is not None and budget.cut:
                cut.append(name)
        return {name: clean[name] for name in value}

    def _learn(self, given: Any, known: Known) -> None:
        """Finds the secrets of a whole command: facts tell more of it than is kept of its text."""
        command = given.get("command") if isinstance(given, dict) else None
        if not isinstance(command, str) or len(command) <= self._window:
            return
        text = command[:_MAX_CHARACTERS].encode("utf-8", "backslashreplace").decode("utf-8")
        if self._hint.search(text) or any(form.search(text) for _, form in self._own):
            self._without_secrets(text, Budget(known))

    def text(self, text: str, budget: "Budget | None" = None) -> str:
        """Gives a text without secrets, cut at a bound with a mark that says how long it was, and with a digest of the whole;
        beyond the budget, not even that."""
        budget = budget or Budget()
        if not budget.spend(min(len(text), self._window)):
            return _LEFT_OUT
        window = text[: self._window]
        if not window.isascii():
            # A lone surrogate has no UTF-8 form, and RE2 reads nothing else.
            window = window.encode("utf-8", "backslashreplace").decode("utf-8")
        settled = 0
        if (
            self._hint.search(window)
            or any(form.search(window) for _, form in self._own)
            or (budget.repeating and budget.known.in_text(window))
        ):
            if budget.spent or not budget.suspect():
                return _LEFT_OUT
            window, settled = self._without_secrets(window, budget)
        if len(text) <= self._window:
            if len(window) <= CUT_CHARACTERS:
                return window
            end = CUT_CHARACTERS
        else:
            # What a secret was cut off from by the window's own end may be no form any more: it must not be shown.
            end = min(CUT_CHARACTERS, max(settled, len(window) - (self._window - CUT_CHARACTERS)))
        budget.cut = True
        digest = self._digests.of_text(Purpose.TEXT, text)[:CUT_DIGEST_CHARACTERS]
        return f"{window[:end]}… (cut, {len(text)} characters, {digest})"

    def _without_secrets(self, text: str, budget: "Budget") -> tuple[str, int]:
        """Puts a stand-in for each secret first, so that no form takes another's mark for a secret. Gives also where the last
        one ends."""
        marks: list[str] = []
        text = text.replace(_OPEN, _UNKNOWN).replace(_CLOSE, _UNKNOWN)
        if budget.repeating:
            text = budget.known.replaced(text, partial(_stood_in, marks))
        for kind, pattern in self._forms:
            text = pattern.sub(partial(self._replaced, kind, marks, budget), text)
            if budget.spent:
                # A text that is mostly secrets tells nobody anything, and takes long.
                return _LEFT_OUT, 0
        end = text.rfind(_CLOSE) + 1
        settled = _MARKED.sub(lambda match: marks[int(match.group(1))], text[:end])
        return settled + text[end:], len(settled)

    def _value(self, value: Any, budget: "Budget") -> Any:
        if isinstance(value, str):
            return self.text(value, budget)
        if isinstance(value, dict):
            return self._object(value, budget)
        if isinstance(value, list | tuple):
            return self._list(value, budget)
        return value

    def _object(self, value: dict[str, Any], budget: "Budget") -> dict[str, Any]:
        kept: dict[str, Any] = {}
        naming = any(isinstance(name := value.get(key), str) and self._is_secret(name) for key in _NAMING)
        for key, item in value.items():
            if key not in _STRUCTURE and budget.exhausted:
                budget.cut = True
                kept[_LEFT_OUT] = f"{len(value) - len(kept)} more"
                break
            name = key if key in _STRUCTURE else self.text(key, budget)
            if naming and key == _NAMED_VALUE:
                kept[name] = self._hidden(item, budget)
            else:
                kept[name] = self._member(key, item, budget)
        return kept

    def _list(self, items: "list[Any] | tuple[Any, ...]", budget: "Budget") -> list[Any]:
        """In a list of words, an option may come before its value."""
        kept: list[Any] = []
        hide = False
        for item in items:
            kept.append(self._hidden(item, budget) if hide else self._value(item, budget))
            hide = isinstance(item, str) and item.startswith("-") and self._option.search(item[:256]) is not None
        return kept

    def _member(self, key: str, item: Any, budget: "Budget") -> Any:
        """A field whose name says that it is secret is replaced whole."""
        return self._hidden(item, budget) if item and self._is_secret(key) else self._value(item, budget)

    def _is_secret(self, name: str) -> bool:
        return self._name.search(name[:_MAX_NAME_CHARACTERS]) is not None

    def _hidden(self, item: Any, budget: "Budget") -> Any:
        """Replaces a value whatever it looks like, and every text inside one that has parts."""
        if isinstance(item, str):
            return self._mark("named", item, budget) if item else item
        if isinstance(item, int | float) and not isinstance(item, bool):
            return self._mark("named", str(item), budget)
        if isinstance(item, dict):
            return {
                self.text(key, budget): self._hidden(one, budget) if isinstance(one, str | list | dict) else one
                for key, one in item.items()
            }
        if isinstance(item, list | tuple):
            return [self._hidden(one, budget) for one in item]
        return item

    def _replaced(self, kind: str, marks: list[str], budget: "Budget", match: Any) -> str:
        whole: str = match.group(0)
        if budget.spent:
            return whole
        begin, end = next(
            (match.span(group) for group in range(1, match.re.groups + 1) if match.start(group) >= 0), match.span()
        )
        begin, end = begin - match.start(), end - match.start()
        secret = whole[begin:end]
        if not secret or _OPEN in secret or (kind == "named" and secret.isdecimal() and "tokens" in whole.lower()):
            return whole
        marks.append(self._mark(kind, secret, budget))
        return f"{whole[:begin]}{_OPEN}{len(marks) - 1}{_CLOSE}{whole[end:]}"

    def _mark(self, kind: str, secret: str, budget: "Budget") -> str:
        if not budget.digest():
            return f"[redacted:{kind}]"
        mark = f"[redacted:{kind}:{self._digests.of_text(Purpose.SECRET, secret)[:DIGEST_CHARACTERS]}]"
        budget.known.add(secret, mark)
        return mark


def _stood_in(marks: list[str], mark: str) -> str:
    marks.append(mark)
    return f"{_OPEN}{len(marks) - 1}{_CLOSE}"


def _drop_letters(facts: Any, told: Any) -> None:
    """Takes the letters of a hidden argument out of the flags of its command: facts split `-pSECRET` into single ones."""
    if not isinstance(facts, dict) or not isinstance(facts.get("commands"), list | tuple):
        return
    for command, shown in zip(facts["commands"], told["commands"], strict=False):
        pairs = [*zip(command["args"], shown["args"], strict=False)]
        if any(arg != kept for arg, kept in pairs):
            plain = "".join(
                arg if arg == kept else arg[:2] for arg, kept in pairs if arg[:1] == "-" and arg[:2] != "--"
            )
            shown["flags"] = [flag for flag in shown["flags"] if flag[:2] == "--" or flag[1:] in plain]


class Budget:
    """What of a field is still kept. `known` are the record's secrets that were found until now; a field that repeats others
    is looked through for them."""

    def __init__(self, known: Known | None = None, *, repeating: bool = False) -> None:
        self.known = known or Known()
        self.repeating = repeating
        self._strings, self._characters = _MAX_STRINGS, _MAX_CHARACTERS
        self._suspects, self._digests = _MAX_SUSPECTS, _MAX_DIGESTS
        #: Whether something was cut or left out.
        self.cut = False

    @property
    def exhausted(self) -> bool:
        """Whether no further text is kept."""
        return self._strings <= 0 or self._characters <= 0

    @property
    def spent(self) -> bool:
        """Whether there were more secrets than are told apart."""
        return self._digests < 0

    def spend(self, characters: int) -> bool:
        """Takes room for a text; gives whether there was any."""
        if self.exhausted:
            self.cut = True
            return False
        self._strings -= 1
        self._characters -= characters
        return True

    def suspect(self) -> bool:
        """Takes room for a text that may hold secrets; gives whether there was any."""
        self._suspects -= 1
        self.cut = self.cut or self._suspects < 0
        return self._suspects >= 0

    def digest(self) -> bool:
        """Takes room for a secret's digest; gives whether there was any."""
        self._digests -= 1
        self.cut = self.cut or self._digests < 0
        return self._digests >= 0
