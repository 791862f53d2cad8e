"""What comes out of a command, and where it is from: what flows on, and what it leaves in files."""

import posixpath
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from hookgate.facts.paths import resolved
from hookgate.facts.shell.call import Call, program_of
from hookgate.facts.shell.flow import Flow
from hookgate.facts.shell.programs import NETWORK, PROGRAMS
from hookgate.facts.shell.state import Shell
from hookgate.facts.shell.words import NO_TAGS, Word

_FETCHED = frozenset({"network"})
_DECODE_OPTIONS = frozenset(["--decode", "-d", "-D", "-r", "-di", "-rp"])
_BASE64_CLUSTER = re.compile(r"^-[a-zA-Z]*[dD]")
_TO_STDOUT = re.compile(r"^-{0,2}[a-zA-Z]*[xOp]|^--to-stdout")
_OUTPUTS = frozenset(["-o", "--output", "-O", "--output-document"])
#: They send what flows into them.
_SENDING = frozenset(["curl", "nc", "ncat", "netcat", "ssh", "telnet", "wget", "http"])
_BINARIES = ("/bin/", "/usr/bin/", "/usr/local/bin/", "/sbin/", "/usr/sbin/")
_FILTERS = frozenset(
    [
        "sed",
        "awk",
        "grep",
        "tr",
        "head",
        "tail",
        "sort",
        "uniq",
        "cut",
        "tac",
        "nl",
        "fold",
        "fmt",
        "expand",
        "column",
        "paste",
        "pr",
        "iconv",
        "less",
        "more",
        "bat",
        "jq",
        "yq",
        "gzip",
        "bzip2",
        "xz",
        "zstd",
        "bunzip2",
        "unxz",
    ]
)
_DOWNLOADERS = frozenset(["curl", "wget"])


def stream(shell: Shell, call: Call) -> Flow:
    """Gives what comes out of a command that is no shell and prints no text of its own."""
    program, tags = call.program, call.tags
    if program in NETWORK:
        tags = _network(shell, call, tags)
    elif program not in PROGRAMS and not _DOWNLOADERS.isdisjoint(call.texts):
        # A program that nobody knows, with a download on its line: it may well run it.
        tags |= _FETCHED
    special = _STREAMS.get(program)
    return special(shell, call, tags) if special is not None else _through(call, tags)


def _through(call: Call, tags: frozenset[str]) -> Flow:
    """A filter, or a program that nobody knows, hands on what flows in."""
    passes = call.program not in PROGRAMS or call.program in _FILTERS
    return Flow(call.frame.flow.tags | tags if passes else tags, None, True)


def _network(shell: Shell, call: Call, tags: frozenset[str]) -> frozenset[str]:
    program, flow = call.program, call.frame.flow
    if program == "curl" and call.rest and not any(_is_far(word) for word in call.rest):
        return tags
    if flow.present and program in _SENDING and ("file" in flow.tags or "secret" in flow.tags):
        shell.ledger.shapes["file_to_network"] = None
    values, flags = call.options.values, call.options.flags
    for option, value in values:
        if option in _OUTPUTS:
            shell.made[resolved(value.text, shell.cwd)] = _FETCHED
    named = (program == "curl" and ("-O" in flags or "--remote-name" in flags)) or (
        program == "wget" and not any(option in ("-O", "--output-document") for option, _ in values)
    )
    if named:
        for word in call.options.operands:
            name = posixpath.basename(word.text.partition("?")[0])
            shell.made[resolved(name, shell.cwd)] = _FETCHED
    return tags | _FETCHED


def _decoder(_shell: Shell, call: Call, tags: frozenset[str]) -> Flow:
    tags_in = call.frame.flow.tags
    decodes = (
        call.program == "uudecode"
        or not _DECODE_OPTIONS.isdisjoint(call.options.flags)
        or not _DECODE_OPTIONS.isdisjoint(call.texts)
        or (call.program == "base64" and any(_BASE64_CLUSTER.match(text) for text in call.texts))
    )
    return Flow(tags_in | tags | {"decoded"}, None, True) if decodes else _through(call, tags)


def _substituting(_shell: Shell, call: Call, tags: frozenset[str]) -> Flow:
    """`rev`, `tr a-z n-za-m`: what went in was not to be read. A `tr -d` only mends lines."""
    tags |= call.frame.flow.tags
    return Flow(tags if "-d" in call.texts else tags | {"decoded"}, None, True)


def _looked_up(_shell: Shell, call: Call, tags: frozenset[str]) -> Flow:
    """`which x`, `command -v x`: the program's name again."""
    operands = call.options.operands
    text = operands[0].text if len(operands) == 1 and not operands[0].dynamic else None
    return Flow(tags, text, True)


def _unpacker(_shell: Shell, call: Call, tags: frozenset[str]) -> Flow:
    return Flow(call.frame.flow.tags | tags, None, True)


def _archiver(_shell: Shell, call: Call, tags: frozenset[str]) -> Flow:
    if any(_TO_STDOUT.match(text) for text in call.texts[:2]):
        tags |= {"archive"}
    return _through(call, tags)


def _tee(shell: Shell, call: Call, _tags: frozenset[str]) -> Flow:
    flow = call.frame.flow
    shell.fill([resolved(word.text, shell.cwd) for word in call.options.operands], flow.tags)
    return flow


def _copy(shell: Shell, call: Call, tags: frozenset[str]) -> Flow:
    operands = call.options.operands
    if len(operands) > 1:
        if operands[0].text.startswith(_BINARIES):
            shell.copies[resolved(operands[-1].text, shell.cwd)] = program_of(operands[0].text)
        shell.fill([resolved(operands[-1].text, shell.cwd)], _origins(shell, operands[:-1]))
    return _through(call, tags)


def _remove(shell: Shell, call: Call, tags: frozenset[str]) -> Flow:
    shell.fill([resolved(word.text, shell.cwd) for word in call.options.operands], NO_TAGS)
    return _through(call, tags)


def _cat(shell: Shell, call: Call, tags: frozenset[str]) -> Flow:
    operands = call.options.operands
    return Flow(_origins(shell, operands) | tags | {"file"}, None, True) if operands else call.frame.flow


def _read(shell: Shell, call: Call, tags: frozenset[str]) -> Flow:
    operands, text = call.options.operands, call.frame.flow.text
    known = text.rstrip("\n") if text is not None and call.program == "read" and len(operands) == 1 else None
    for word in operands:
        shell.variables[word.text] = known
        if call.frame.flow.present:
            shell.made["$" + word.text] = call.frame.flow.tags | {"read"}
    return _through(call, tags)


def _origins(shell: Shell, words: list[Word]) -> frozenset[str]:
    return NO_TAGS.union(*(shell.origin(resolved(word.text, shell.cwd)) for word in words))


def _is_far(word: Word) -> bool:
    text = word.text.removeprefix("--url=")
    return not text.startswith("-") and not text.startswith("file:")


_STREAMS: Mapping[str, Callable[[Shell, Call, frozenset[str]], Flow]] = MappingProxyType(
    {
        **dict.fromkeys(["base64", "base32", "base58", "basez", "uudecode", "xxd", "openssl"], _decoder),
        **dict.fromkeys(["gunzip", "zcat"], _unpacker),
        **dict.fromkeys(["tar", "unzip"], _archiver),
        **dict.fromkeys(["cp", "mv", "ln", "install"], _copy),
        **dict.fromkeys(["read", "mapfile", "readarray"], _read),
        **dict.fromkeys(["rev", "tr"], _substituting),
        **dict.fromkeys(["which", "command", "type"], _looked_up),
        "tee": _tee,
        "rm": _remove,
        "cat": _cat,
    }
)
