"""Programs that read command lines, or run commands, by their own rules: `find -exec`, `parallel`, `ssh`, `awk`, sockets."""

import re

from hookgate.facts.shell.call import Call
from hookgate.facts.shell.flow import NOTHING
from hookgate.facts.shell.frame import Frame
from hookgate.facts.shell.state import Shell
from hookgate.facts.shell.words import Word

_MAX_CODES = 8
_MAX_VALUES = 16
_AWK_SYSTEM = re.compile(r"system\(\s*\"((?:[^\"\\]|\\.)*)\"")
_SHELL_C = re.compile(r"(?:\S*/)?(?:ba|z|da)?sh -c")
_RUNS_SHELL = re.compile(r"(?i)(?:exec|system|shell)\b.*?:?['\"]?.*\b(?:ba|z|da|k)?sh\b|\bSHELL\b")
_NETCAT_RUNS = re.compile(r"(?:^|\s)-\w*[ec]\s*\S*sh\b|--(?:sh-)?exec")
_SOCAT_RUNS = re.compile(r"(?i)(?:exec|system):'?([^,']+)")
_EXEC = frozenset(["-exec", "-execdir", "-ok", "-okdir"])
_EXEC_ENDS = frozenset([";", "+", "\\;"])


def remote(shell: Shell, call: Call) -> None:
    """`ssh host words`: a shell over there reads them."""
    operands = call.options.operands
    if len(operands) > 1:
        shell.read(" ".join(word.text for word in operands[1:]), call.frame.inside(call.program))


def option_command(shell: Shell, call: Call) -> None:
    """`su -c text` and its kin."""
    for at, text in enumerate(call.texts[:-1]):
        if text in ("-c", "--command", "--run"):
            shell.read(call.texts[at + 1], call.frame.inside(call.program))


def trap(shell: Shell, call: Call) -> None:
    """`trap text SIGNAL`: the text runs later."""
    if call.texts:
        shell.read(call.texts[0], call.frame.inside(call.program))


def alias(shell: Shell, call: Call) -> None:
    """`alias name=text`: the text may run."""
    if call.texts:
        shell.read(call.texts[0].partition("=")[2], call.frame.inside(call.program))


def find(shell: Shell, call: Call) -> None:
    """`find roots -exec words ;`."""
    words = call.words
    at = 0
    while at < len(words):
        if words[at].text in _EXEC:
            end = next((i for i in range(at + 1, len(words)) if words[i].text in _EXEC_ENDS), len(words))
            root = next((word.text for word in words[1:at] if not word.text.startswith("-")), ".")
            inner = [word.reading(word.text.replace("{}", root)) for word in words[at + 1 : end]]
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
        if texts[start:]:
            shell.run([Word(text) for text in texts[start:]], [], call.frame.within("xargs"))
        return
    command = " ".join(texts[start:end])
    for value in texts[end + 1 :][:_MAX_VALUES]:
        if _SHELL_C.fullmatch(command):
            text = value
        else:
            text = command.replace("{}", value) if "{}" in command else f"{command} {value}"
        shell.read(text, call.frame.inside("parallel"))


def awk(shell: Shell, call: Call) -> None:
    """`system("text")` in awk's code."""
    for text in _AWK_SYSTEM.findall(" ".join(call.texts))[:_MAX_CODES]:
        shell.read(text, call.frame.inside(call.program))


def sockets(shell: Shell, call: Call) -> None:
    """Programs that bind a connection to a command."""
    joined = " ".join(call.texts)
    if _RUNS_SHELL.search(joined) or (call.program != "socat" and _NETCAT_RUNS.search(joined)):
        shell.ledger.shapes["shell_over_network"] = None
    if call.program == "socat":
        for text in _SOCAT_RUNS.findall(joined)[:4]:
            shell.read(text.replace("\\ ", " "), Frame(("socat",), NOTHING, call.frame.nested + 1))


def remote_shell(shell: Shell, call: Call) -> None:
    """`rsync -e 'ssh -o …'`: the value is a command line."""
    for option, value in call.options.values:
        if option in ("-e", "--rsh") and len(value.text.split()) > 1:
            shell.read(value.text, call.frame.inside(call.program))
