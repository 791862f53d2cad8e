"""Programs that read command lines, or run commands, by their own rules: `find -exec`, `parallel`, `ssh`, `at`, sockets."""

import re

from hookgate.facts.shell.call import Call
from hookgate.facts.shell.flow import NOTHING
from hookgate.facts.shell.frame import Frame
from hookgate.facts.shell.state import Shell
from hookgate.facts.shell.words import Word, replaced

_MAX_CODES = 8
_MAX_VALUES = 16
_MAX_LINES = 64
_SCHEDULE = re.compile(r"^\s*(?:@\w+|(?:[-*/,\w]+\s+){5})\s*(\S.*)$")
_EACH = frozenset(["-x", "--exec", "-X", "--exec-batch"])
#: Sub-commands of tmux that only show something.
_SHOWING = frozenset(
    [
        "ls",
        "list-sessions",
        "list-windows",
        "list-panes",
        "display",
        "display-message",
        "capture-pane",
        "show",
        "show-options",
    ]
)
_SHELL_C = re.compile(r"(?:\S*/)?(?:ba|z|da)?sh -c")
_RUNS_SHELL = re.compile(r"(?i)(?:exec|system|shell)\b.*?:?['\"]?.*\b(?:ba|z|da|k)?sh\b|\bSHELL\b")
_NETCAT_RUNS = re.compile(r"(?:^|\s)-\w*[ec]\s*\S*sh\b|--(?:sh-)?exec")
_SOCAT_RUNS = re.compile(r"(?i)(?:exec|system):'?([^,']+)")
_EXEC = frozenset(["-exec", "-execdir", "-ok", "-okdir"])
_EXEC_ENDS = frozenset([";", "+", "\\;"])


def remote(shell: Shell, call: Call) -> None:
    """`ssh host words`: a shell over there reads them; without words, what flows in."""
    operands = call.options.operands
    if len(operands) > 1:
        at = next(at for at, word in enumerate(call.rest) if word is operands[0])
        shell.read(" ".join(call.texts[at + 1 :]), call.frame.inside(call.program))
    else:
        standard_input(shell, call)


def standard_input(shell: Shell, call: Call) -> None:
    """`at`, `batch`: what flows in is a script, run later."""
    flow = call.frame.flow
    shell.interpreted(flow.tags)
    if flow.text is not None:
        shell.read(flow.text, call.frame.inside(call.program).fed(NOTHING))


def schedule(shell: Shell, call: Call) -> None:
    """`crontab -`: five fields or a name, then a command line."""
    for line in (call.frame.flow.text or "").splitlines()[:_MAX_LINES]:
        match = _SCHEDULE.match(line)
        if match:
            shell.read(match[1], call.frame.inside(call.program).fed(NOTHING))


def behind_option(shell: Shell, call: Call) -> None:
    """`fd -x words`: they are run for each file."""
    at = next((at for at, text in enumerate(call.texts) if text in _EACH), None)
    if at is not None and call.rest[at + 1 :]:
        shell.run(call.rest[at + 1 :], [], call.frame.within(call.program))


def terminal(shell: Shell, call: Call) -> None:
    """`tmux new 'text'`: words with spaces are command lines, or typed into a shell."""
    if call.texts[:1] and call.texts[0] not in _SHOWING:
        for text in call.texts[1:]:
            if " " in text and "#{" not in text:
                shell.read(text, call.frame.inside(call.program))


def rename(shell: Shell, call: Call) -> None:
    """`hash -p path name`: the name runs the path. `enable -f` takes commands out of a library."""
    if call.program == "enable" and "-f" in call.texts:
        shell.ledger.shapes["steered_program"] = None
    elif call.texts[:1] == ["-p"] and len(call.rest) > 2:
        shell.aliases[call.texts[2]] = [call.rest[1]]


def positional(shell: Shell, call: Call) -> None:
    """`set -- words`: they become `$1` and those behind it."""
    if "--" in call.texts:
        words = call.rest[call.texts.index("--") + 1 :]
        shell.arrays["@"] = words
        for at, word in enumerate(words[:9], 1):
            shell.variables[str(at)] = None if word.dynamic else word.text


def trap(shell: Shell, call: Call) -> None:
    """`trap text SIGNAL`: the text runs later."""
    if call.texts:
        shell.read(call.texts[0], call.frame.inside(call.program))


def alias(shell: Shell, call: Call) -> None:
    """`alias name=text`: the text may run, and does under the name."""
    for text in call.texts[:_MAX_CODES]:
        name, equals, command = text.partition("=")
        if equals and command:
            shell.read(command, call.frame.inside(call.program))
            shell.aliases[name] = [Word(one) for one in command.split()[:_MAX_VALUES]]


def find(shell: Shell, call: Call) -> None:
    """`find roots -exec words ;`."""
    words = call.words
    at = 0
    while at < len(words):
        if words[at].text in _EXEC:
            end = next((i for i in range(at + 1, len(words)) if words[i].text in _EXEC_ENDS), len(words))
            root = next((word.text for word in words[1:at] if not word.text.startswith("-")), ".")
            inner = [word.reading(replaced(word.text, "{}", root)) for word in words[at + 1 : end]]
            if inner:
                shell.run(inner, [], call.frame.within("find"))
            at = end
        at += 1


def parallel(shell: Shell, call: Call) -> None:
    """`parallel words ::: values`; without values they come from the pipe, as with xargs."""
    texts = call.texts
    end = texts.index(":::") if ":::" in texts else len(texts)
    start = next((at for at, text in enumerate(texts) if not text.startswith("-")), len(texts))
    if end == len(texts):
        if not texts[start:]:
            standard_input(shell, call)
        elif any(" " in text for text in texts[start:]):
            shell.read(" ".join(texts[start:]), call.frame.inside("xargs"))
        else:
            shell.run([Word(text) for text in texts[start:]], [], call.frame.within("xargs"))
        return
    command = " ".join(texts[start:end])
    for value in texts[end + 1 :][:_MAX_VALUES]:
        if _SHELL_C.fullmatch(command):
            text = value
        else:
            text = replaced(command, "{}", value) if "{}" in command else f"{command} {value}"
        shell.read(text, call.frame.inside("parallel"))


def sockets(shell: Shell, call: Call) -> None:
    """Programs that bind a connection to a command."""
    joined = " ".join(call.texts)
    if _RUNS_SHELL.search(joined) or (call.program != "socat" and _NETCAT_RUNS.search(joined)):
        shell.ledger.shapes["shell_over_network"] = None
    if call.program == "socat":
        for text in _SOCAT_RUNS.findall(joined)[:4]:
            shell.read(text.replace("\\ ", " "), Frame(("socat",), NOTHING, call.frame.nested + 1))
