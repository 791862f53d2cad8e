"""Which calls touch what an auditor asks about: paths by glob, commands by regular expression.

In doubt a call counts: case does not matter, and a path counts however the call names it. What a command makes up while it
runs can't be seen.
"""

import posixpath
import re
from collections.abc import Iterator
from typing import Any

import re2

_WORD_ENDS = re.compile(r"[\s;|&<>()'\"`=,{}\[\]]+")
#: Of one record: texts looked at, words of one command, characters of a path.
_MAX_TEXTS = 2000
_MAX_WORDS = 2000
_MAX_PATH_CHARACTERS = 4096
_MAX_MATCHES = 10
_COMMANDS = ("command", "script", "code")
_FACT_FORMS = ("path", "written", "home", "folded")


class PatternError(ValueError):
    """A glob or expression can't be used; one line that says why."""


class Matching:
    """The question: which paths, which commands. Without either, nothing matches."""

    def __init__(self, paths: tuple[str, ...], commands: tuple[str, ...]) -> None:
        """Takes globs and RE2 expressions. Raises PatternError."""
        self.paths, self.commands = paths, commands
        self._globs = [_compiled(glob_expression(path), path) for path in paths]
        self._prefixes = [_prefix(path) for path in paths]
        self._expressions = [_compiled(f"(?i){command}", command) for command in commands]

    @property
    def is_empty(self) -> bool:
        """Whether nothing in particular is asked for."""
        return not self.paths and not self.commands

    def matches(self, record: dict[str, Any]) -> tuple[str, ...]:
        """Gives what of a decision's record matches: paths as written, and commands."""
        found: dict[str, None] = {}
        tool_input = record.get("input")
        if self._expressions and isinstance(tool_input, dict):
            for key in _COMMANDS:
                text = tool_input.get(key)
                if isinstance(text, str) and any(expression.search(text) for expression in self._expressions):
                    found[text] = None
        if self._globs:
            cwd = record.get("cwd")
            for shown, texts in _paths_of(record):
                if any(self._touches(text, cwd if isinstance(cwd, str) else "") for text in texts):
                    found[shown] = None
                    if len(found) == _MAX_MATCHES:
                        break
        return tuple(found)

    def may_reach(self, record: dict[str, Any]) -> bool:
        """Whether a call goes through all that lies below a folder, in which a path that is asked for may lie."""
        for fact in _facts(record):
            if fact.get("recursive") is True and isinstance(path := fact.get("path"), str):
                below = path.rstrip("/").casefold() + "/"
                if any(below.startswith(prefix) or prefix.startswith(below) for prefix in self._prefixes):
                    return True
        return False

    def _touches(self, text: str, cwd: str) -> bool:
        return any(glob.fullmatch(form) for form in _forms(text, cwd) for glob in self._globs)


def glob_expression(glob: str) -> str:
    """Gives the regular expression of a glob: `*` and `?` within a name, `**` over folders, `[ab]` one of some characters.

    A glob without a slash means a name in any folder. What ends in `/**` means the folder itself, too.
    """
    if not glob:
        raise PatternError("a glob must not be empty")
    if "/" not in glob:
        glob = f"**/{glob}"
    made, at = ["(?is)"], 0
    while at < len(glob):
        rest = glob[at:]
        if rest.startswith("**/"):
            made.append("(?:.*/)?")
            at += 3
        elif rest == "/**":
            made.append("(?:/.*)?")
            at += 3
        elif rest.startswith("**"):
            made.append(".*")
            at += 2
        elif (found := re.match(r"\[([!^]?)([^\]/]+)\]", rest)) is not None:
            inner = re.sub(r"([\\\[\]^])", r"\\\1", found[2])
            made.append(f"[{'^/' if found[1] else ''}{inner}]")
            at += found.end()
        else:
            made.append({"*": "[^/]*", "?": "[^/]"}.get(glob[at]) or re2.escape(glob[at]))
            at += 1
    return "".join(made)


def _compiled(expression: str, written: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(expression, options)
    except re2.error as error:
        said = error.args[0] if error.args else error
        raise PatternError(f"{written!r}: {said.decode() if isinstance(said, bytes) else said}") from None


def _prefix(glob: str) -> str:
    """Gives the folders that a glob names before anything else; `/` where it begins anywhere."""
    fixed = re.split(r"[*?\[]", glob, maxsplit=1)[0]
    return (fixed if fixed.startswith("/") else "/").casefold()


def _forms(text: str, cwd: str) -> Iterator[str]:
    """As written, and as an absolute path without `.` and `..`."""
    yield text
    if "\0" not in text and not text.startswith("~") and (text.startswith("/") or cwd.startswith("/")):
        whole = posixpath.normpath(posixpath.join(cwd, text))
        if whole != text:
            yield whole


def _paths_of(record: dict[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Gives each path that a call may name: as it is shown, and in all its forms."""
    for fact in _facts(record):
        forms = tuple(text for key in _FACT_FORMS if isinstance(text := fact.get(key), str) and text)
        if forms:
            yield str(fact.get("written") or forms[0]), forms
    tool_input = record.get("input")
    if not isinstance(tool_input, dict):
        return
    for number, (key, text) in enumerate(_texts(tool_input)):
        if number == _MAX_TEXTS:
            return
        if key in _COMMANDS:
            for word in _WORD_ENDS.split(text, maxsplit=_MAX_WORDS)[:_MAX_WORDS]:
                if word:
                    # `@file` of curl, and the path in `host:path`.
                    yield word, (word, word.lstrip("@"), word.rpartition(":")[2])
        elif len(text) <= _MAX_PATH_CHARACTERS and "\n" not in text:
            yield text.strip(), (text.strip(),)


def _facts(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    facts = record.get("facts")
    paths = facts.get("paths") if isinstance(facts, dict) else None
    if isinstance(paths, list):
        yield from (path for path in paths if isinstance(path, dict))


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Gives every text of a JSON value with the name of its member."""
    open_values: list[tuple[str, Any]] = [(key, value)]
    while open_values:
        name, item = open_values.pop()
        if isinstance(item, str):
            yield name, item
        elif isinstance(item, dict):
            open_values += [(str(inner), child) for inner, child in item.items()]
        elif isinstance(item, list):
            open_values += [(name, child) for child in item]
