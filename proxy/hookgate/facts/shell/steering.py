"""What makes a program do something else than it says: variables of the environment, and shells that it is told to start."""

import re

from hookgate.facts.shell.call import Call
from hookgate.facts.shell.frame import Frame
from hookgate.facts.shell.programs import SHELLS
from hookgate.facts.shell.state import Shell

#: A shell's path, as programs name one that they start; the programs in front of it are not followed.
SHELL_PATH = re.compile(
    r"(?:^|[\s=:!'\"`({|,;])(?:/usr/local|/usr)?/bin/(?:ba|z|da|k|a|fi|c|tc)?sh(?=$|[\s'\"`),;|&\\}])"
)
_SHELL_IN_TEXT = re.compile(
    r"(?:exec\s+|^|\n|[:|!]\s*)[\"']?(?:/usr)?/bin/(?:ba|z|da)?sh\s*(?:-[a-z]+\s*)?[<\d]|\bos\.(?:exec\w*|system)\(\s*[\"'](?:/usr)?/bin/(?:ba|z|da)?sh\b"
)
#: Their value is a command line that the program runs, or the name of one.
_COMMANDS = re.compile(
    r"^(?:PROMPT_COMMAND|GIT_SSH_COMMAND|GIT_EXTERNAL_DIFF|GIT_PAGER|GIT_EDITOR|GIT_SEQUENCE_EDITOR|GIT_PROXY_COMMAND|LESSOPEN|LESSCLOSE|"
    r"PAGER|MANPAGER|VISUAL|EDITOR|BROWSER|SUDO_EDITOR|FCEDIT|GIT_CONFIG_VALUE_\d+|\w+_COMMAND|\w+_ASKPASS)$"
)
_PATHS = re.compile(r"^(?:LD_LIBRARY_PATH|DYLD_\w+|ENV|PERL5OPT|PERL5LIB|RUBYOPT|PYTHONSTARTUP|NODE_OPTIONS)$")
#: Options with which a shell still waits for somebody to type.
_WAITING = re.compile(r"^(?:-[ilps]+|--(?:login|norc|noprofile|posix))$")
#: Libraries that an interpreter takes up by itself; from a folder of temporary files they are nobody's.
_LIBRARIES = re.compile(r"^(?:FACTERLIB|RUBYLIB|PERL5LIB|LUA_C?PATH|NODE_PATH)$")
_TEMPORARY = ("/tmp/", "/var/tmp/", "/dev/shm/")  # noqa: S108 (as text)
_SHELL_NAMED = re.compile(r"(?:SHELL|BASH)$")
_ALWAYS_STEERING = re.compile(r"^(?:LD_PRELOAD|LD_AUDIT|DYLD_INSERT_LIBRARIES|BASH_ENV|CLAUDE_CODE_SHELL_PREFIX)$")
#: Their words are text or names, so a shell's path there starts none.
_TEXT_ONLY = frozenset(
    [
        "echo",
        "printf",
        "ls",
        "which",
        "type",
        "file",
        "stat",
        "test",
        "[",
        "chsh",
        "grep",
        "rg",
        "cat",
        "ln",
        "man",
        "info",
        "shellcheck",
        "command",
    ]
)
#: What they run, runs on another machine or in a container, where a shell is the way in.
_ELSEWHERE = frozenset(
    ["docker", "podman", "nerdctl", "kubectl", "oc", "docker-compose", "az", "aws", "vagrant", "ssh"]
)


def always_steers(name: str) -> bool:
    """Whether a variable makes any program run other code."""
    return _ALWAYS_STEERING.match(name) is not None


def note_assignments(shell: Shell, assigned: list[str], program: str, frame: Frame) -> None:
    """Notes what the variables that are set for a command do to it."""
    for one in assigned:
        name, _, value = one.partition("=")
        if not value:
            continue
        if always_steers(name):
            shell.ledger.shapes["steered_program"] = None
        elif _COMMANDS.match(name):
            if SHELL_PATH.search(value):
                shell.ledger.shapes["shell_from_program"] = None
            elif name.endswith("_COMMAND") and value.startswith("/"):
                shell.ledger.shapes["steered_program"] = None
            shell.read(value.lstrip("|!"), frame.inside(program))
        elif SHELL_PATH.search(value) and (
            _PATHS.match(name) or (SHELL_PATH.fullmatch(value) and not _SHELL_NAMED.search(name))
        ):
            shell.ledger.shapes["shell_from_program"] = None
        elif _LIBRARIES.match(name) and value.startswith(_TEMPORARY):
            shell.ledger.shapes["steered_program"] = None


def note_standing(shell: Shell, name: str, value: str, frame: Frame) -> None:
    """Notes what a variable does that is set for all that follows: the shell itself looks at a few."""
    if value and always_steers(name):
        shell.ledger.shapes["steered_program"] = None
    elif name == "PROMPT_COMMAND":
        shell.read(value, frame.inside(name))


def note_shells(shell: Shell, call: Call) -> None:
    """Notes a shell that another program is told to start, and one that waits for a person."""
    program = call.program
    if program in SHELLS:
        if (
            all(_WAITING.match(text) for text in call.texts)
            and not call.frame.flow.present
            and _ELSEWHERE.isdisjoint(call.frame.wrappers)
        ):
            shell.ledger.shapes["bare_shell"] = None
        return
    in_program = program not in _TEXT_ONLY and (program == "ssh" or program not in _ELSEWHERE)
    in_text = program in ("echo", "printf")
    for text in call.texts:
        if "/" not in text:
            continue
        if "/inet/tcp/" in text:
            shell.ledger.shapes["network_device"] = None
        if "sh" in text and ((in_program and SHELL_PATH.search(text)) or (in_text and _SHELL_IN_TEXT.search(text))):
            shell.ledger.shapes["shell_from_program"] = None
