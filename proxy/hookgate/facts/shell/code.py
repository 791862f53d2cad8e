"""Code on a command line (`python -c`, `perl -e`, `node -e`), as far as it is a plain call with plain texts."""

import re
from typing import NamedTuple

from hookgate.facts.model import Access

#: A text in quotes without line breaks; RE2-like in its cost: no alternative overlaps another.
_TEXT = re.compile(
    r"(?:%x|\bq[qx]?)(?:\(([^()\n]{1,2000})\)|\{([^{}\n]{1,2000})\})|\"((?:[^\"\\\n]|\\.){1,2000})\"|'((?:[^'\\\n]|\\.){1,2000})'|`((?:[^`\\\n]|\\.){1,2000})`"
)
_RUNS = re.compile(
    r"(?:\bsystem|\bexec[lv]?[pe]{0,2}|\bexecSync|\bexecFile(?:Sync)?|\bspawn(?:Sync|[lv][pe]{0,2})?|\bpopen\d?|\bPopen|\bsubprocess\.\w+|"
    r"\bshell_exec|\bpassthru|\bproc_open|\bpcntl_exec|\bcheck_output|\bcheck_call|\bgetoutput|\bqx|\bdo shell script|\bProcessBuilder|\bDeno\.Command|"
    r"\bos\.execute|\brun)\s*\(?\s*\[?\s*$"
)
_DELETES = re.compile(
    r"(?:\brmtree|\bunlink(?:Sync)?|\bremove(?:Sync)?|\brmdir(?:Sync)?|\brmSync|\brm|\brm_rf|\brm_r|\bremove_tree|\bremovedirs)\s*\(?\s*(?:(?:pathlib\.)?Path\(\s*)?$"
)
_TREES = re.compile(r"\brmtree|\brm_rf|\brm_r\b|\bremove_tree|\brmSync|\bremoveSync|\brm\(")
_WRITES = re.compile(r"^\s*,\s*(?:mode\s*=\s*)?[\"'](?:[wax]|r\+)|\.write_text|\.write_bytes")
_WRITE_CALLS = re.compile(
    r"(?:write_?[Ff]ile(?:Sync)?|file_put_contents|append_?[Ff]ile(?:Sync)?|FileWriter|urlretrieve\([^)]*|copy\w*\([^)]*)\s*\(?\s*,?\s*$"
)
_PATH = re.compile(r"^(?:~?/|\.{1,2}/|\.[a-z])[^\s]*$|^[\w.-]+\.[a-z]{2,6}$")
_URL = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
#: Between the words of a list, or a program and the list of its words.
_SEPARATOR = re.compile(r"\s*,\s*(?:\{\s*args\s*:\s*)?\[?\s*")
_MAX_TEXTS = 64


class Inside(NamedTuple):
    """What a piece of code names: commands for a shell, paths with what is done with them, addresses."""

    commands: tuple[str, ...]
    paths: tuple[tuple[str, Access, bool], ...]
    urls: tuple[str, ...]


def inside(code: str) -> Inside:
    """Gives what the texts in a piece of code say."""
    commands: list[str] = []
    paths: list[tuple[str, Access, bool]] = []
    urls: list[str] = []
    run_until = -1
    for match in list(_TEXT.finditer(code))[:_MAX_TEXTS]:
        text = next((text for text in match.groups() if text), "")
        before, after = code[max(0, match.start() - 120) : match.start()], code[match.end() : match.end() + 24]
        if match.start() == run_until:
            # A further word of a list: ["rm", "-rf", "/"].
            commands[-1] += " " + text
            run_until = _next_word(code, match.end())
        elif (
            _RUNS.search(before)
            or match[0].startswith(("%x", "qx"))
            or (match[0].startswith("`") and "`" not in before and "require" not in code)
        ):
            commands.append(text)
            run_until = _next_word(code, match.end())
        elif _URL.match(text):
            urls.append(text)
        elif _DELETES.search(before):
            paths.append((text, Access.DELETE, _TREES.search(before) is not None))
        elif _PATH.match(text):
            wrote = _WRITES.match(after) or _WRITE_CALLS.search(before)
            paths.append((text, Access.WRITE if wrote else Access.READ, False))
    return Inside(tuple(commands), tuple(paths), tuple(urls))


def _next_word(code: str, end: int) -> int:
    match = _SEPARATOR.match(code, end)
    return match.end() if match else -1
