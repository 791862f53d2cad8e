"""What one command does with the words on its line: paths and hosts, by the table of programs."""

import re
from typing import Protocol

from hookgate.facts.ledger import Ledger
from hookgate.facts.model import Access
from hookgate.facts.shell.programs import NETWORK, PROGRAMS, Program
from hookgate.facts.shell.words import Word, braces
from hookgate.facts.urls import has_scheme

#: What looks like a path inside a word: behind its begin, `=`, `@`, `:`, a quote or bracket.
_INSIDE = re.compile(r"(?:^|[\s=@:,'\"<>(|!])((?:~[\w.-]*|\$HOME)?/[^\s'\",;)>|<:]+|~(?=$|\s))")
_RELATIVE = re.compile(r"^(?:[\w.@+*?\[\]{}-]+/)*[\w@+*?\[\]{}-]*\.?[\w.@+*?\[\]{},~-]*$")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>|;)]+")
_REMOTE = re.compile(r"^(?:[\w.-]+@)?([\w-]+(?:\.[\w-]+)+|[\w-]+)::?(?!//)(.*)$")
_HOST = re.compile(
    r"^(?:[\w.-]+@)?((?:[\w-]+\.)+[\w-]{2,}|\d+(?:\.\d+){3}|localhost|\[[0-9a-fA-F:]+\])(?::\d+)?(?:/.*)?$"
)
_DEVICE = re.compile(r"/dev/(?:tcp|udp)/([^/\s]+)/")
_SOCAT = re.compile(r"(?i)(?:tcp|udp|openssl|ssl|sctp)\d?(?:-connect|-sendto)?:([\w.-]+):")
_GENERAL = Program()
_MAX_WORD_PATHS = 8
_REMOTES = frozenset(["scp", "sftp", "rsync", "tar"])
_DATA = frozenset(
    ["-d", "--data", "--data-binary", "--data-ascii", "--data-urlencode", "-F", "--form", "--json", "--url-query"]
)


def touch(
    ledger: Ledger,
    program: str,
    flags: tuple[str, ...],
    operands: list[Word],
    values: list[tuple[str, Word]],
    words: list[Word],
    cwd: str,
) -> None:
    """Notes the paths and hosts of a command. `values` are the options that have one."""
    row = PROGRAMS.get(program, _GENERAL)
    hosts(ledger, program, row, operands, words)
    if row.literal:
        return
    recursive = row.recursive or "--recursive" in flags

    def note(word: Word, access: Access, *, everywhere: bool = False) -> None:
        text = word.text
        if not text or text == "-" or has_scheme(text) or (text.startswith("-") and access is not Access.NAMED):
            return
        for one in braces(text) if "{" in text else (text,):
            ledger.path(
                one,
                cwd,
                access,
                program=program,
                recursive=recursive or everywhere,
                dynamic=word.dynamic and "$" in one,
            )

    for option, value in values:
        access = row.options.get(option)
        if access is not None:
            note(value, access)
        elif program == "curl" and option in _DATA:
            at = value.text.find("@")
            if at >= 0 and (at == 0 or value.text[at - 1] == "=" or option == "--data-urlencode"):
                note(value._replace(text=value.text[at + 1 :].partition(";")[0]), Access.READ)
        else:
            mentions(ledger, program, value, cwd)
    if program == "dd":
        for word in operands:
            key, _, rest = word.text.partition("=")
            if rest and key in ("if", "of"):
                note(word._replace(text=rest), Access.READ if key == "if" else Access.WRITE)
        return
    if program in ("curl", "wget", "git", "ssh"):
        for word in words:
            if not has_scheme(word.text) or word.text.startswith("file:"):
                mentions(ledger, program, word._replace(text=word.text.removeprefix("file://")), cwd)
        return
    if program == "find":
        _find(note, words)
        return
    if row.operands is None:
        for word in words:
            mentions(ledger, program, word, cwd, relative=True)
        return
    files = operands[row.first :] if not _pattern_given(program, flags) else operands
    if program in ("tar", "bsdtar"):
        files = files if _creates(words) else []
        for word in words:
            mentions(ledger, program, word, cwd)
    if program in ("python", "node", "sh", "bash", "zsh", "dash", "ksh", "ash", "fish"):
        files = files[:1]
    targeted = any(option in ("-t", "--target-directory") for option, _ in values)
    in_place = program == "sed" and "--in-place" in flags
    for at, word in enumerate(files):
        last = row.last is not None and not targeted and at == len(files) - 1 and len(files) > 1
        access = row.last if last and row.last is not None else row.operands
        if program in _REMOTES and (match := _REMOTE.match(word.text)) and not word.text.startswith(("/", ".", "~")):
            ledger.host(match[1], program=program)
            continue
        note(word, Access.WRITE if in_place else access)
        if program == "mv" and access is Access.DELETE:
            note(word, Access.READ)
        if program == "ln" and not last:
            note(word, Access.NAMED)
    for word in words:
        if word.text.startswith("-") and ("/" in word.text or "=" in word.text):
            mentions(ledger, program, word, cwd)


def mentions(ledger: Ledger, program: str, word: Word, cwd: str, *, relative: bool = False) -> None:
    """Notes what looks like a path in a word, with `named`: nobody knows what the program does with it."""
    text = word.text
    if len(text) > 20_000:
        text = text[:20_000]
    found = 0
    for match in _INSIDE.finditer(text):
        for one in braces(match[1]) if "{" in match[1] else (match[1],):
            ledger.path(
                one.replace("$HOME", "~", 1), cwd, Access.NAMED, program=program, dynamic=word.dynamic and "$" in one
            )
        found += 1
        if found >= _MAX_WORD_PATHS:
            return
    if (
        relative
        and not found
        and text
        and not text.startswith("-")
        and ("/" in text or "." in text)
        and len(text) < 512
    ):
        tail = text.rpartition("=")[2].lstrip("@")
        if tail and not has_scheme(tail) and _RELATIVE.match(tail):
            for one in braces(tail) if "{" in tail else (tail,):
                ledger.path(one, cwd, Access.NAMED, program=program, dynamic=word.dynamic and "$" in one)


def hosts(ledger: Ledger, program: str, row: Program, operands: list[Word], words: list[Word]) -> None:
    """Notes the hosts that a command would reach."""
    if row.literal or program in ("grep", "rg", "sed", "awk", "jq"):
        return
    for word in words:
        if "://" in word.text:
            for match in list(_ADDRESS.finditer(word.text))[:_MAX_WORD_PATHS]:
                ledger.url(match[0], program=program)
        elif "/dev/" in word.text and (device := _DEVICE.search(word.text)):
            ledger.host(device[1], program=program)
        elif program == "git" and (remote := re.match(r"^[\w.-]+@([\w.-]+):", word.text)):
            ledger.host(remote[1], program=program)
        elif program == "socat" and (socket := _SOCAT.match(word.text)):
            ledger.host(socket[1], program=program)
    if program in NETWORK and program not in ("scp", "rsync", "socat"):
        for word in operands:
            if "://" not in word.text and (bare := _HOST.match(word.text)):
                ledger.host(bare[1].strip("[]"), url=word.text, program=program)
                if program in ("ssh", "sftp", "nc", "ncat", "netcat", "telnet"):
                    return


def _pattern_given(program: str, flags: tuple[str, ...]) -> bool:
    """Whether the pattern or script stands in an option, so that every operand is a file."""
    if program in ("chmod", "chown"):
        return "--reference" in flags
    return bool({"-e", "-f", "--regexp", "--expression", "--file"} & set(flags)) and program in (
        "grep", "egrep", "fgrep", "zgrep", "rg", "ag", "sed", "gsed", "awk", "gawk", "mawk", "jq",
    )  # fmt: skip


def _creates(words: list[Word]) -> bool:
    first = words[0].text if words else ""
    return any(
        word.text in ("--create", "--append", "--update")
        or (word.text.startswith("-") and not word.text.startswith("--") and set("cru") & set(word.text))
        for word in words
    ) or (bool(first) and not first.startswith("-") and bool(set("cru") & set(first)) and first.isalpha())


class _Note(Protocol):
    def __call__(self, word: Word, access: Access, *, everywhere: bool = False) -> None: ...


def _find(note: _Note, words: list[Word]) -> None:
    roots: list[Word] = []
    for word in words:
        if word.text.startswith(("-", "(", "!")):
            if roots or word.text not in ("-L", "-P", "-H"):
                break
            continue
        roots.append(word)
    texts = [word.text for word in words]
    access = [Access.SEARCH]
    if "-delete" in texts:
        access.append(Access.DELETE)
    for word in roots or [Word(".")]:
        for one in access:
            note(word, one, everywhere=True)
    for option, value in zip(texts, words[1:], strict=False):
        if option in ("-name", "-iname", "-path", "-wholename"):
            note(value, Access.SEARCH)
        elif option in ("-fprint", "-fprintf", "-fls"):
            note(value, Access.WRITE)
