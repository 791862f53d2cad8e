"""What a command runs itself, changes for those behind it, and hands on: by program."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from hookgate.facts.paths import resolved
from hookgate.facts.shell import nested
from hookgate.facts.shell.call import Call
from hookgate.facts.shell.callbacks import callbacks
from hookgate.facts.shell.flow import NOTHING, Flow
from hookgate.facts.shell.interpreters import interpret, run_text
from hookgate.facts.shell.printed import echoed, formatted
from hookgate.facts.shell.programs import INTERPRETERS
from hookgate.facts.shell.scripts import awk, sed
from hookgate.facts.shell.state import Shell
from hookgate.facts.shell.streams import stream
from hookgate.facts.shell.words import Word


def effect(shell: Shell, call: Call) -> Flow:
    """Notes the effects of a command; gives what comes out of it."""
    builtin = _BUILTINS.get(call.program)
    if builtin is not None:
        return builtin(shell, call)
    runs = _RUNS.get(call.program)
    if runs is not None:
        runs(shell, call)
    callbacks(shell, call)
    return stream(shell, call)


def _cd(shell: Shell, call: Call) -> Flow:
    target = call.options.operands[0] if call.options.operands else Word("~")
    if not target.dynamic and target.text != "-":
        shell.cwd = resolved(target.text, shell.cwd)
    return NOTHING


def _eval(shell: Shell, call: Call) -> Flow:
    return run_text(shell, " ".join(call.texts), call)


def _source(shell: Shell, call: Call) -> Flow:
    flow = call.frame.flow
    if call.texts:
        if call.texts[0] in ("/dev/stdin", "-"):
            shell.interpreted(call.tags | flow.tags)
            if flow.text is not None:
                return shell.read(flow.text, call.frame.inside(call.program).fed(NOTHING))
        else:
            shell.interpreted_foreign(call.tags)
        shell.executed(resolved(call.texts[0], shell.cwd))
    return NOTHING


_BUILTINS: Mapping[str, Callable[[Shell, Call], Flow]] = MappingProxyType(
    {
        **dict.fromkeys(INTERPRETERS, interpret),
        **dict.fromkeys(["cd", "pushd"], _cd),
        **dict.fromkeys(["source", "."], _source),
        "echo": echoed,
        "printf": formatted,
        "eval": _eval,
    }
)
_RUNS: Mapping[str, Callable[[Shell, Call], None]] = MappingProxyType(
    {
        **dict.fromkeys(["awk", "gawk", "mawk", "nawk"], awk),
        **dict.fromkeys(["sed", "gsed"], sed),
        **dict.fromkeys(["at", "batch"], nested.standard_input),
        **dict.fromkeys(["fd", "fdfind"], nested.behind_option),
        **dict.fromkeys(["hash", "enable"], nested.rename),
        "crontab": nested.schedule,
        "tmux": nested.terminal,
        "set": nested.positional,
        **dict.fromkeys(["socat", "ncat", "nc", "netcat"], nested.sockets),
        "ssh": nested.remote,
        "trap": nested.trap,
        "alias": nested.alias,
        "find": nested.find,
        "parallel": nested.parallel,
    }
)
