"""Options and settings whose value is a command line, so that another program runs it."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from hookgate.facts.model import Access
from hookgate.facts.shell.call import Call
from hookgate.facts.shell.state import Shell
from hookgate.facts.shell.touch import mentions
from hookgate.facts.shell.words import Word

#: By program: options that take a command line.
_OPTIONS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        name: frozenset(options.split())
        for names, options in {
            "tar bsdtar": "--to-command --use-compress-program -I --rsh-command --checkpoint-action -F --info-script --new-volume-script",
            "ssh": "-o",
            "scp sftp": "-o -S -D",
            "rsync": "-e --rsh --rsync-path",
            "su runuser script flock sg nix-shell newgrp": "-c --command --run --session-command",
            "npm npx pnpm pnpx yarn": "-c --call --script-shell",
            "split": "--filter",
            "sort": "--compress-program",
            "zip": "-TT --unzip-command",
            "rg": "--pre --hostname-bin",
            "man": "-P --pager -H --html",
            "make gmake": "--eval",
            "gdb lldb": "-ex -iex --eval-command -o --one-line",
            "vi vim nvim view ex vimdiff": "-c --cmd",
            "psql": "-c --command",
            "mysql mariadb": "-e --execute",
            "sqlite3": "-cmd",
            "expect": "-c",
            "emacs": "--eval --execute",
            "gcc g++ clang cc": "-wrapper",
            "docker podman": "--health-cmd",
            "ansible": "-a --args",
            "gcloud vagrant": "-c --command",
            "fly flyctl": "-C --command",
            "watchexec nodemon": "--exec -x",
            "git": "-x --exec --extcmd --upload-pack --receive-pack -O --open-files-in-pager --tree-filter --index-filter --msg-filter "
            "--env-filter --commit-filter --tag-name-filter --parent-filter --tool-command --sendmail-cmd --to-cmd --cc-cmd",
        }.items()
        for name in names.split()
    }
)
#: Settings of ssh, as `Name=value` or `Name value`.
_SSH = re.compile(r"(?i)^(?:ProxyCommand|LocalCommand|KnownHostsCommand|RemoteCommand)[ =]\s*(.+)$", re.DOTALL)
#: What leads to a shell in the language of a program; the rest of the line is its command line.
_ESCAPE = re.compile(
    r"^:*\s*(?:silent!?\s+)?(?:!|\\!|\.sh(?:ell)?\s|\.system\s|shell\s|system\s|spawn\s|exec\s|platform shell\s)\s*(.+)$",
    re.DOTALL,
)
_IN_CALL = re.compile(
    r"(?:shell-command(?:-to-string)?|system|systemlist|os\.execute|\$\(shell)\s*\(?\s*[\"']?([^\"')]+)"
)
_ESCAPING = frozenset(
    [
        "gdb",
        "lldb",
        "vi",
        "vim",
        "nvim",
        "view",
        "ex",
        "vimdiff",
        "psql",
        "mysql",
        "mariadb",
        "sqlite3",
        "expect",
        "emacs",
        "make",
        "gmake",
        "less",
        "more",
        "ed",
    ]
)
#: Settings of git, whose value is a command line.
_GIT_SETTING = re.compile(
    r"(?i)^(?:core\.(?:pager|editor|sshcommand|fsmonitor|askpass|gitproxy|alternaterefscommand)|pager\.\S+|sequence\.editor|diff\.external|"
    r"diff\.\S+\.(?:textconv|command)|filter\.\S+\.(?:clean|smudge|process)|credential\.(?:\S+\.)?helper|gpg\.(?:\S+\.)?program|"
    r"(?:merge|diff)tool\.\S+\.cmd|merge\.\S+\.driver|(?:browser|man)\.\S+\.cmd|sendemail\.\S+cmd|uploadpack\.packobjectshook|alias\.\S+|"
    r"interactive\.difffilter|remote\.\S+\.(?:uploadpack|receivepack)|trailer\.\S+\.(?:command|cmd))$"
)
_GIT_DIRECTORY = re.compile(r"(?i)^(?:core\.hookspath|init\.templatedir)$")
_GIT_NO_COMMANDS = frozenset(
    ["", "true", "false", "store", "cache", "osxkeychain", "manager", "manager-core", "wincred", "libsecret"]
)
#: A makefile's recipe behind its rule, or on a line of its own.
_RECIPE = re.compile(r"^(?:\t|[^\t#:=]*:[^=;]*;)\s*[@+-]*(.+)$")
_MAKEFILES = frozenset(["-f", "--file", "--makefile"])
_MAX_LINES = 64
_GIT_BEHIND = (("submodule", "foreach"), ("bisect", "run"))


def callbacks(shell: Shell, call: Call) -> None:
    """Reads the command lines in the options of a program."""
    program = call.program
    options = _OPTIONS.get(program)
    if options is not None:
        for option, value in _values(call.texts, options):
            _read(shell, call, _command_in(program, option, value))
    if program in _ESCAPING:
        for text in call.texts:
            if not text.startswith("-"):
                _read(shell, call, _command_in(program, "", text.lstrip("+")))
        if program == "ed" and call.frame.flow.text is not None:
            for line in call.frame.flow.text.splitlines()[:64]:
                _read(shell, call, _command_in(program, "", line))
    if program in ("make", "gmake"):
        for text in call.texts:
            if text.startswith(("SHELL=", "MAKE=")):
                _read(shell, call, text.partition("=")[2])
        _makefile(shell, call)
    elif program == "sqlite3" and call.frame.flow.text is not None:
        mentions(shell.ledger, program, Word(call.frame.flow.text), shell.cwd)
    elif program == "git":
        _git(shell, call)


def _values(texts: list[str], options: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Gives the options with their values, apart, behind `=`, or glued."""
    for at, text in enumerate(texts):
        if text[:1] != "-":
            continue
        if text in options:
            if at + 1 < len(texts):
                yield text, texts[at + 1]
            continue
        option, equals, value = text.partition("=")
        if equals and option in options:
            yield option, value
        elif len(text) > 2 and text[1] != "-" and text[:2] in options:
            yield text[:2], text[2:]


def _command_in(program: str, option: str, value: str) -> str:
    """Gives the command line in a value; empty where there is none."""
    if option == "--checkpoint-action":
        return value.partition("exec=")[2]
    if option == "-o" and program in ("ssh", "scp", "sftp"):
        match = _SSH.match(value)
        return match[1] if match else ""
    if program in _ESCAPING:
        match = _ESCAPE.match(value) or _IN_CALL.search(value)
        return match[1] if match else ""
    if program == "rsync" and " " not in value:
        return ""
    return value


def _read(shell: Shell, call: Call, command: str) -> None:
    if command.strip():
        shell.read(command, call.frame.inside(call.program))


def _makefile(shell: Shell, call: Call) -> None:
    """`make -f -`: the rules flow in."""
    if any(
        option in ("-f", "--file", "--makefile") and value in ("-", "/dev/stdin")
        for option, value in _values(call.texts, _MAKEFILES)
    ):
        shell.interpreted(call.frame.flow.tags)
        for line in (call.frame.flow.text or "").splitlines()[:_MAX_LINES]:
            if match := _RECIPE.match(line):
                _read(shell, call, match[1])


def _git(shell: Shell, call: Call) -> None:
    operands = [word.text for word in call.options.operands]
    for option, value in call.options.values:
        if option in ("-c", "--config-env"):
            name, _, setting = value.text.partition("=")
            _git_setting(shell, call, name, setting)
    if operands[:1] == ["config"]:
        at = next((at for at, text in enumerate(operands[1:], 1) if "." in text), len(operands))
        if at + 1 < len(operands):
            _git_setting(shell, call, operands[at], operands[at + 1])
    for first, second in _GIT_BEHIND:
        if operands[:2] == [first, second]:
            at = call.texts.index(second) + 1
            while at < len(call.texts) and call.texts[at].startswith("-"):
                at += 1
            words = call.rest[at:]
            if len(words) == 1:
                _read(shell, call, words[0].text)
            elif words:
                shell.run(words, [], call.frame.within("git"))
    for text in operands:
        if text.startswith("ext::"):
            _read(shell, call, text.removeprefix("ext::"))


def _git_setting(shell: Shell, call: Call, name: str, value: str) -> None:
    name = name[:256]
    if _GIT_DIRECTORY.match(name):
        shell.ledger.path(value, shell.cwd, Access.EXECUTE, program="git")
    elif _GIT_SETTING.match(name) and value.lower() not in _GIT_NO_COMMANDS:
        alias = name.lower().startswith("alias.")
        _read(shell, call, value.removeprefix("!") if value.startswith("!") or not alias else f"git {value}")
