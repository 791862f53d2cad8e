"""What one command does with the words on its line: paths and hosts, by the table of programs."""

import re
from collections.abc import Callable, Mapping
from itertools import islice
from types import MappingProxyType

import msgspec

from hookgate.facts.ledger import Ledger
from hookgate.facts.model import Access
from hookgate.facts.shell.options import Options
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
_GIT_REMOTE = re.compile(r"^[\w.-]+@([\w.-]+):")
_GENERAL = Program()
_MAX_WORD_PATHS = 8
_MAX_WORD_CHARACTERS = 20_000
_PATTERN_OPTIONS = frozenset(["-e", "-f", "--regexp", "--expression", "--file"])
_PATTERN_PROGRAMS = frozenset(
    ["grep", "egrep", "fgrep", "zgrep", "rg", "ag", "sed", "gsed", "awk", "gawk", "mawk", "jq"]
)
#: What they look for may be an address.
_SEARCHERS = frozenset(["grep", "rg", "sed", "awk", "jq"])
_AWKS = frozenset(["awk", "gawk", "mawk", "nawk"])
#: `getline < "/x"`, `print > "/x"`.
_AWK_FILE = re.compile(r"[<>]\s*\"(/[^\"]+)\"")
_ARCHIVERS = frozenset(["tar", "bsdtar"])
#: What stands behind their script is the script's.
_ONE_SCRIPT = frozenset(["python", "node", "sh", "bash", "zsh", "dash", "ksh", "ash", "fish"])
_ONE_HOST = frozenset(["ssh", "sftp", "nc", "ncat", "netcat", "telnet"])
_TARGETS = frozenset(["-t", "--target-directory"])
_REMOTES = frozenset(["scp", "sftp", "rsync", "tar"])
_DATA = frozenset(
    ["-d", "--data", "--data-binary", "--data-ascii", "--data-urlencode", "-F", "--form", "--json", "--url-query"]
)


class Noting(msgspec.Struct, frozen=True):
    """Where the paths of one command are noted."""

    ledger: Ledger
    program: str
    cwd: str
    recursive: bool

    def path(self, word: Word, access: Access, *, everywhere: bool = False) -> None:
        """Notes the path, or the paths, that a word is."""
        text = word.text
        if not text or text == "-" or has_scheme(text) or (text[0] == "-" and access is not Access.NAMED):
            return
        for one in braces(text) if "{" in text else (text,):
            self.ledger.path(
                one,
                self.cwd,
                access,
                program=self.program,
                recursive=self.recursive or everywhere,
                dynamic=word.dynamic and "$" in one,
            )

    def mentions(self, words: list[Word], *, relative: bool = False) -> None:
        """Notes what looks like a path in words."""
        for word in words:
            mentions(self.ledger, self.program, word, self.cwd, relative=relative)


def touch(ledger: Ledger, program: str, options: Options, words: list[Word], cwd: str) -> None:
    """Notes the paths and hosts of a command. `words` are all behind the program."""
    row = PROGRAMS.get(program, _GENERAL)
    if row.literal:
        return
    if program not in _SEARCHERS:
        hosts(ledger, program, options.operands, words)
    noting = Noting(ledger, program, cwd, row.recursive or "--recursive" in options.flags)
    if options.values:
        _values(noting, row, options.values)
    special = _SPECIAL.get(program)
    if special is not None:
        special(noting, words)
    elif row.operands is None:
        noting.mentions(words, relative=True)
    else:
        _files(noting, row, options, words)


def _values(noting: Noting, row: Program, values: list[tuple[str, Word]]) -> None:
    for option, value in values:
        access = row.options.get(option)
        if access is not None:
            noting.path(value, access)
        elif noting.program == "curl" and option in _DATA:
            at = value.text.find("@")
            if at >= 0 and (at == 0 or value.text[at - 1] == "=" or option == "--data-urlencode"):
                noting.path(value.reading(value.text[at + 1 :].partition(";")[0]), Access.READ)
        else:
            noting.mentions([value])


def _files(noting: Noting, row: Program, options: Options, words: list[Word]) -> None:
    """Operands that are files, by the row of their program."""
    program, operands = noting.program, options.operands
    files = operands[row.first :] if row.first and not _pattern_given(program, options.flags) else operands
    if program in _ARCHIVERS:
        files = _archived(noting, options, words) if _creates(words) else []
        noting.mentions(words)
    elif program in _ONE_SCRIPT:
        files = files[:1]
    final = len(files) - 1
    if row.last is None or final < 1 or any(option in _TARGETS for option, _ in options.values):
        final = -1
    if program in _AWKS and row.first and operands:
        for path in islice(_AWK_FILE.finditer(operands[0].text), _MAX_WORD_PATHS):
            noting.path(Word(path[1]), Access.NAMED)
    in_place = program == "sed" and "--in-place" in options.flags
    for at, word in enumerate(files):
        if program in _REMOTES and (match := _REMOTE.match(word.text)) and not word.text.startswith(("/", ".", "~")):
            noting.ledger.host(match[1], program=program)
            continue
        access = row.last if at == final else Access.WRITE if in_place else row.operands
        if access is not None:
            noting.path(word, access)
        if program == "mv" and access is Access.DELETE:
            noting.path(word, Access.READ)
        if program == "ln" and at != final:
            noting.path(word, Access.NAMED)
    for word in words:
        if word.text.startswith("-") and ("/" in word.text or "=" in word.text):
            noting.mentions([word])


def _dd(noting: Noting, words: list[Word]) -> None:
    for word in words:
        key, _, rest = word.text.partition("=")
        if rest and key in ("if", "of"):
            noting.path(word.reading(rest), Access.READ if key == "if" else Access.WRITE)


def _named(noting: Noting, words: list[Word]) -> None:
    for word in words:
        if word.text.startswith("file:"):
            noting.mentions([word.reading(word.text.removeprefix("file://"))])
        elif noting.program == "git" and words[0].text in ("show", "cat-file") and ":" in word.text:
            # A file of an older state: `git show HEAD:path`.
            noting.path(word.reading(word.text.partition(":")[2]), Access.READ)
        elif not has_scheme(word.text):
            noting.mentions([word])


def mentions(ledger: Ledger, program: str, word: Word, cwd: str, *, relative: bool = False) -> None:
    """Notes what looks like a path in a word, with `named`: nobody knows what the program does with it."""
    text = word.text[:_MAX_WORD_CHARACTERS]
    found = 0
    for match in _INSIDE.finditer(text) if "/" in text or "~" in text else ():
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


def hosts(ledger: Ledger, program: str, operands: list[Word], words: list[Word]) -> None:
    """Notes the hosts that a command would reach."""
    for word in words:
        text = word.text
        if ":" not in text and "/" not in text:
            continue
        if "://" in text:
            for match in islice(_ADDRESS.finditer(text), _MAX_WORD_PATHS):
                ledger.url(match[0], program=program)
        elif "/dev/" in text and (device := _DEVICE.search(text)):
            ledger.host(device[1], program=program)
        elif program == "git" and (remote := _GIT_REMOTE.match(text)):
            ledger.host(remote[1], program=program)
        elif program == "socat" and (socket := _SOCAT.match(text)):
            ledger.host(socket[1], program=program)
    if program in NETWORK and program not in ("scp", "rsync", "socat"):
        for word in operands:
            if "://" not in word.text and (bare := _HOST.match(word.text)):
                ledger.host(bare[1].strip("[]"), url=word.text, program=program)
                if program in _ONE_HOST:
                    return


def _pattern_given(program: str, flags: tuple[str, ...]) -> bool:
    """Whether the pattern or script stands in an option, so that every operand is a file."""
    if program in ("chmod", "chown"):
        return "--reference" in flags
    return program in _PATTERN_PROGRAMS and not _PATTERN_OPTIONS.isdisjoint(flags)


def _archived(noting: Noting, options: Options, words: list[Word]) -> list[Word]:
    """Notes the archive that is written; gives what goes into it. `tar cf x y` is `tar -cf x y`."""
    files, archives = options.operands, [value for option, value in options.values if option in ("-f", "--file")]
    if words[0] is next(iter(files), None):
        archives, files = (files[1:2], files[2:]) if "f" in words[0].text else ([], files[1:])
    for word in archives:
        if not _REMOTE.match(word.text):
            noting.path(word, Access.WRITE)
    return files


def _creates(words: list[Word]) -> bool:
    first = words[0].text if words else ""
    return any(
        word.text in ("--create", "--append", "--update")
        or (word.text.startswith("-") and not word.text.startswith("--") and set("cru") & set(word.text))
        for word in words
    ) or (bool(first) and not first.startswith("-") and bool(set("cru") & set(first)) and first.isalpha())


def _find(noting: Noting, words: list[Word]) -> None:
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
            noting.path(word, one, everywhere=True)
    for option, value in zip(texts, words[1:], strict=False):
        if option in ("-name", "-iname", "-path", "-wholename"):
            noting.path(value, Access.SEARCH)
        elif option in ("-fprint", "-fprintf", "-fls"):
            noting.path(value, Access.WRITE)


#: Programs whose words are read by rules of their own.
_SPECIAL: Mapping[str, Callable[[Noting, list[Word]], None]] = MappingProxyType(
    {"dd": _dd, "find": _find, **dict.fromkeys(["curl", "wget", "git", "ssh"], _named)}
)
