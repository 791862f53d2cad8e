"""Shells and interpreters: code on their line, a script, or what they read."""

import re

from hookgate.facts.paths import resolved
from hookgate.facts.shell.call import Call
from hookgate.facts.shell.code import inside
from hookgate.facts.shell.flow import NOTHING, Flow
from hookgate.facts.shell.frame import Frame
from hookgate.facts.shell.programs import CODE_OPTIONS, SHELLS
from hookgate.facts.shell.state import Shell
from hookgate.facts.shell.steering import SHELL_PATH
from hookgate.facts.shell.words import Word

_SHELL_CODE = re.compile(r"^-[a-zA-Z]*c[a-zA-Z]*$")
_READS_INPUT = re.compile(r"^-[a-z]*s[a-z]*$")
_ENCODED = re.compile(r"(?i)^-e(?:nc|ncodedcommand)?$")
_FILE = re.compile(r"(?i)^-f")
_CLUSTER = re.compile(r"-[a-zA-Z0-9]*[eE]")
_PYTHON_CLUSTER = re.compile(r"-[A-Za-z]*c")
_SOCKET = re.compile(r"\bsocket\b|TCPSocket|fsockopen|net\.(?:connect|Socket)|/dev/tcp/|/inet/")
_STARTS = re.compile(r"/bin/(?:ba)?sh|dup2|\bexec|subprocess|spawn")
_RUNS_TEXT = re.compile(r"(?:\bexec|\beval)\s*\(")
_FETCHES = re.compile(r"urlopen|requests\.|b64decode|fetch\(|fromhex|decode\(")
#: Names under which a script is what flows in.
_INPUTS = ("/dev/stdin", "/dev/fd/", "/proc/")


def interpret(shell: Shell, call: Call) -> Flow:
    """Reads what a shell or an interpreter is given to run; gives what comes out of it."""
    result = Flow(call.tags, None, True)
    if call.program in ("pwsh", "powershell"):
        _powershell(shell, call)
    elif call.program in SHELLS:
        code = _shell_code(shell, call)
        if code is not None:
            return run_text(shell, code.text, call)
    else:
        code = code_option(call.program, call.words)
        if code is not None:
            read_code(shell, call.program, code.text, call.frame)
            shell.interpreted_foreign(code.tags)
            return result
    if call.program == "python" and "-m" in call.texts:
        return result
    if _script(shell, call) or ("-n" in call.texts and call.program in SHELLS):
        return result
    return _input(shell, call)


def run_text(shell: Shell, text: str, call: Call) -> Flow:
    """Reads a text that a program takes for a command line."""
    flowing = call.frame.flow.tags if "xargs" in call.frame.wrappers else frozenset[str]()
    shell.interpreted_foreign(call.tags | flowing)
    return shell.read(text, call.frame.inside(call.program))


def read_code(shell: Shell, program: str, code: str, frame: Frame) -> None:
    """Reads the code of an interpreter, as far as it is a plain call."""
    found = inside(code)
    for path, access, recursive in found.paths:
        shell.ledger.path(path, shell.cwd, access, program=program, recursive=recursive)
    for url in found.urls:
        shell.ledger.url(url, program=program)
    for command in found.commands:
        shell.read(command, frame.inside(program))
    if SHELL_PATH.search(code):
        shell.ledger.shapes["shell_from_program"] = None
    if _SOCKET.search(code) and _STARTS.search(code):
        shell.ledger.shapes["shell_over_network"] = None
    if _RUNS_TEXT.search(code) and _FETCHES.search(code):
        fetched = "url" in code or "requests" in code
        shell.ledger.shapes["network_to_interpreter" if fetched else "decoded_to_interpreter"] = None


def code_option(program: str, words: list[Word]) -> Word | None:
    """Gives the code that stands on an interpreter's line; None where there is none."""
    for at, word in enumerate(words[1:], 1):
        if word.text in CODE_OPTIONS[program] or (program in ("perl", "ruby") and _CLUSTER.fullmatch(word.text)):
            return words[at + 1] if at + 1 < len(words) else None
        if program.startswith("python") and _PYTHON_CLUSTER.fullmatch(word.text) and at + 1 < len(words):
            return words[at + 1]
        if not word.text.startswith("-"):
            return None
    return None


def _powershell(shell: Shell, call: Call) -> None:
    for at, text in enumerate(call.texts):
        if _ENCODED.match(text):
            shell.ledger.reasons["encoded_command"] = None
        elif _FILE.match(text) and at + 1 < len(call.texts):
            shell.executed(resolved(call.texts[at + 1], shell.cwd))


def _shell_code(shell: Shell, call: Call) -> Word | None:
    """Gives the code behind a shell's `-c`; where xargs puts it there, that is a shape."""
    for at, text in enumerate(call.texts):
        if not text.startswith(("-", "+")):
            return None
        if _SHELL_CODE.match(text):
            code = next((word for word in call.words[at + 2 :] if not word.text.startswith("-")), None)
            if code is None and ("xargs" in call.frame.wrappers or "parallel" in call.frame.wrappers):
                shell.ledger.shapes["pipe_to_interpreter"] = None
            return code
    return None


def _script(shell: Shell, call: Call) -> bool:
    """Whether a script is run, and all of it is told."""
    texts = call.texts
    if call.program in SHELLS and any(text in ("-s", "-") or _READS_INPUT.match(text) for text in texts):
        return False
    script = next((word for word in call.options.operands if word.text != "-"), None)
    if script is None:
        return False
    flow = call.frame.flow
    shell.executed(resolved(script.text, shell.cwd))
    shell.interpreted_foreign(script.tags)
    if flow.tags and script.text.startswith(_INPUTS):
        shell.interpreted(flow.tags & {"network", "decoded"} or frozenset({"archive"}))
    return call.program in SHELLS or not flow.present or script.text != "/dev/stdin"


def _input(shell: Shell, call: Call) -> Flow:
    """Code that flows in."""
    flow = call.frame.flow
    shell.interpreted(flow.tags)
    if flow.text is not None:
        if call.program in SHELLS:
            return shell.read(flow.text, call.frame.inside(call.program).fed(NOTHING))
        read_code(shell, call.program, flow.text, call.frame)
    return Flow(call.tags, None, True)
