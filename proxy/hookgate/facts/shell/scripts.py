"""The small languages on a command line that can run commands and write files: sed's and awk's."""

import re

from hookgate.facts.model import Access
from hookgate.facts.shell.call import Call
from hookgate.facts.shell.state import Shell

_MAX_CODES = 8
#: Code that is looked at: longer pieces stand in files.
_MAX_CHARACTERS = 8192
_TEXT = r"\"((?:[^\"\\]|\\.)*)\""
_AWK_RUNS = re.compile(rf"system\(\s*{_TEXT}|{_TEXT}\s*\|&?\s*getline|\|&?\s*{_TEXT}")
_AWK_WRITES = re.compile(rf"\bprintf?\b[^;}}\n]{{0,200}}?>>?\s*{_TEXT}")
#: An address, then `e` and a command line.
_SED_RUNS = re.compile(r"(?:^|[;{\n])\s*(?:(?:\d+|\$|/[^/\n]*/)\s*(?:,\s*(?:\d+|\$|/[^/\n]*/))?\s*)?!?\s*e\s+([^;\n]+)")
_SED_WRITES = re.compile(
    r"(?:^|[;{\n])\s*(?:(?:\d+|\$|/[^/\n]*/)\s*(?:,\s*(?:\d+|\$|/[^/\n]*/))?\s*)?!?\s*w\s*([^\s;}]+)"
)
_SED_SUBSTITUTE = re.compile(
    r"s([/|#,@!:])((?:\\.|(?!\1)[^\\])*)\1((?:\\.|(?!\1)[^\\])*)\1([gIip0-9mM]*)(?:(e)|w\s*(\S+))"
)


def awk(shell: Shell, call: Call) -> None:
    """Reads `system("text")`, `"text" | getline`, `print | "text"` and `print > "file"` in awk's code."""
    code = " ".join(call.texts)[:_MAX_CHARACTERS]
    if '"' not in code:
        return
    for found in _AWK_RUNS.findall(code)[:_MAX_CODES]:
        shell.read("".join(found), call.frame.inside(call.program))
    for path in _AWK_WRITES.findall(code)[:_MAX_CODES]:
        shell.ledger.path(path, shell.cwd, Access.WRITE, program=call.program)


def sed(shell: Shell, call: Call) -> None:
    """Reads the commands `e` and `w`, and the flags of the same name."""
    codes = [value.text for option, value in call.options.values if option in ("-e", "--expression")]
    if not codes:
        codes = [word.text for word in call.options.operands[:1]]
    for code in [code[:_MAX_CHARACTERS] for code in codes[:_MAX_CODES]]:
        for match in _SED_SUBSTITUTE.finditer(code):
            if match[5]:
                shell.read(match[3].replace("\\", ""), call.frame.inside(call.program))
            else:
                shell.ledger.path(match[6], shell.cwd, Access.WRITE, program=call.program)
        for command in _SED_RUNS.findall(code)[:_MAX_CODES]:
            shell.read(command, call.frame.inside(call.program))
        for path in _SED_WRITES.findall(code)[:_MAX_CODES]:
            shell.ledger.path(path, shell.cwd, Access.WRITE, program=call.program)
