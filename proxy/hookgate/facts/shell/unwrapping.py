"""Programs that run another one: which words are its command, and where that stands."""

import re
from typing import NamedTuple

from hookgate.facts.model import Access
from hookgate.facts.paths import resolved
from hookgate.facts.shell.call import call_of, fact_of
from hookgate.facts.shell.flow import Flow
from hookgate.facts.shell.frame import Frame
from hookgate.facts.shell.programs import SUBCOMMANDS
from hookgate.facts.shell.state import Shell
from hookgate.facts.shell.steering import always_steers
from hookgate.facts.shell.touch import mentions
from hookgate.facts.shell.words import Word, replaced
from hookgate.facts.shell.wrappers import LOOKS, WRAPPERS, Wrapper

ASSIGNMENT = re.compile(r"^[A-Za-z_]\w*\+?=")
#: Wrappers that mean something by themselves.
_NOTED = frozenset(["chroot", "nsenter", "unshare", "pkexec", "systemd-run"])
#: Their own words name files that they write, or files of another system.
_NAMING = frozenset(
    ["strace", "ltrace", "screen", "docker", "podman", "nerdctl", "kubectl", "oc", "lxc", "ssh", "chroot", "nsenter"]
)
_CONTAINERS = frozenset(["docker", "podman", "nerdctl"])
#: One word behind them is a command line.
_TAKES_TEXT = frozenset(["watch", "heroku"])
_TAKES_CODE = frozenset(["script", "flock"])
_CODE = re.compile(r"^(?:-[a-z]*c|--command)$")
_SPLIT = re.compile(r"^(?:-[0iv]*S|--split-string)")
_ASSIGNING = frozenset(["env", "sudo", "doas"])


class Wrapped(NamedTuple):
    """A command in a wrapper: the wrapper's own words, and those of the command."""

    program: str
    own: list[Word]
    inner: list[Word]


def unwrapped(shell: Shell, program: str, words: list[Word]) -> Wrapped | None:
    """Gives the command that a wrapper runs; None where it runs none, or is no wrapper."""
    wrapper = WRAPPERS.get(program)
    if wrapper is None or len(words) < 2:
        return None
    if program in LOOKS and LOOKS[program] & {word.text for word in words[1:3]}:
        return None
    inner = _inner(shell, program, wrapper, words[1:])
    return Wrapped(program, words[: max(1, len(words) - len(inner))], inner) if inner else None


def _inner(shell: Shell, program: str, wrapper: Wrapper, rest: list[Word]) -> list[Word] | None:
    if wrapper.only and not any(word.text in wrapper.only for word in rest[:4]):
        return None
    if wrapper.behind:
        at = next((at for at, word in enumerate(rest) if word.text == wrapper.behind), None)
        if at is not None:
            return rest[at + 1 :] or None
        if wrapper.behind == "--" and not wrapper.skip:
            return None
    return _behind_options(shell, program, wrapper, rest)


def _behind_options(shell: Shell, program: str, wrapper: Wrapper, rest: list[Word]) -> list[Word] | None:
    if (
        program == "coproc"
        and (brace := next((at for at, word in enumerate(rest[:2]) if word.text == "{"), None)) is not None
    ):
        return rest[brace + 1 :] or None
    skip, at = wrapper.skip, 0
    if rest[0].text == "compose" and program in _CONTAINERS:
        skip += 1
    while at < len(rest):
        text = rest[at].text
        if program == "env" and _SPLIT.match(text):
            return _split(rest, at)
        if (told := _told(program, text, rest[at + 1 :])) is not None:
            _logs(shell, program, rest[at + 2 :])
            return told or None
        if not skip and program in _CONTAINERS:
            break
        if text == "--":
            at += 1
            if not skip:
                break
        elif text.startswith("-") and len(text) > 1:
            at += 2 if _takes_next(text, wrapper.values) else 1
        elif program in _ASSIGNING and ASSIGNMENT.match(text):
            if always_steers(text.partition("=")[0]):
                shell.ledger.shapes["steered_program"] = None
            at += 1
        elif skip:
            skip -= 1
            at += 1
        else:
            break
    if entrypoint := _entrypoint(program, rest[:at]):
        return [Word(entrypoint), *rest[at:]]
    return rest[at:] or None


def _logs(shell: Shell, program: str, behind: list[Word]) -> None:
    """`script -c text file`: all that is printed goes into the file."""
    for word in behind if program == "script" else ():
        shell.ledger.path(word.text, shell.cwd, Access.WRITE, program=program)


def _told(program: str, option: str, rest: list[Word]) -> list[Word] | None:
    """Gives the command that an option of a wrapper begins; None where it is another option."""
    if program in _TAKES_CODE and _CODE.match(option) and rest:
        return [Word("sh"), Word("-c"), rest[0]]
    if program == "start-stop-daemon" and option in ("-x", "--exec", "-a", "--startas"):
        return rest
    return None


def _entrypoint(program: str, own: list[Word]) -> str:
    """Gives the program that a container is told to run in place of its own."""
    if program not in _CONTAINERS:
        return ""
    for at, word in enumerate(own):
        if word.text == "--entrypoint" and at + 1 < len(own):
            return own[at + 1].text
        if word.text.startswith("--entrypoint="):
            return word.text.partition("=")[2]
    return ""


def _takes_next(text: str, values: frozenset[str]) -> bool:
    """Whether the next word is the value of an option, or of the last one of several short ones."""
    if text in values:
        return True
    return (
        text[1] != "-" and len(text) > 2 and text[:2] not in values and text[1:].isalpha() and "-" + text[-1] in values
    )


def _split(rest: list[Word], at: int) -> list[Word] | None:
    """`env -S 'A=b rm x'`: the words of one text, and those behind it."""
    text = rest[at].text
    joined = text.partition("=")[2] if text.startswith("--") else text.partition("S")[2]
    first = joined.split()
    behind = rest[at + 1 :]
    if not first and behind:
        first, behind = behind[0].text.split(), behind[1:]
    return [Word(one) for one in first] + behind or None


def run_wrapped(shell: Shell, wrapped: Wrapped, assigned: list[str], frame: Frame) -> Flow:
    """Reads the command in a wrapper, which is noted itself where it has a meaning of its own."""
    program, own = wrapped.program, wrapped.own
    if program in SUBCOMMANDS or program in _NOTED:
        shell.ledger.command(fact_of(call_of(program, own + wrapped.inner, frame), assigned, shell.cwd))
    if program in _NAMING:
        for word in own[1:]:
            mentions(shell.ledger, program, word, shell.cwd)
    cwd = shell.cwd
    if program == "env":
        for at, word in enumerate(own[:-1]):
            if word.text in ("-C", "--chdir"):
                shell.cwd = resolved(own[at + 1].text, cwd)
    try:
        return _run(shell, wrapped, assigned, frame)
    finally:
        shell.cwd = cwd


def _run(shell: Shell, wrapped: Wrapped, assigned: list[str], frame: Frame) -> Flow:
    program, own, inner = wrapped
    if program == "hyperfine" or (program in _TAKES_TEXT and len(inner) == 1):
        flow = frame.flow
        for word in inner:
            flow = shell.read(word.text, frame.inside(program))
        return flow
    if program == "xargs" and frame.flow.text is not None:
        mark = _mark(own)
        if mark:
            text = frame.flow.text.strip()
            inner = [word.reading(replaced(word.text, mark, text)) for word in inner]
    return shell.run(inner, assigned, frame.within(program))


def _mark(own: list[Word]) -> str:
    """Gives what xargs puts its lines in place of; empty where it puts them at the end."""
    for at, word in enumerate(own):
        if word.text.startswith("-I"):
            return word.text[2:] or (own[at + 1].text if at + 1 < len(own) else "{}")
        if word.text.startswith(("--replace", "-i")):
            return word.text.partition("=")[2] or "{}"
    return ""
