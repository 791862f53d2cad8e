"""What `echo` and `printf` print, where that is known: it may become code, or a name."""

import re

from hookgate.facts.shell.call import Call
from hookgate.facts.shell.flow import NOTHING, Flow
from hookgate.facts.shell.state import Shell
from hookgate.facts.shell.words import ansi_c

_OPTIONS = re.compile(r"-[neE]+")
_DIRECTIVE = re.compile(r"%[-\d.]*([sbcdq])")
_MAX_TURNS = 64


def echoed(_shell: Shell, call: Call) -> Flow:
    """Gives what `echo` prints."""
    if any(word.dynamic for word in call.rest):
        return Flow(call.tags, None, True)
    options = [text for text in call.texts[:2] if _OPTIONS.fullmatch(text)]
    text = " ".join(call.texts[len(options) :])
    return Flow(call.tags, (ansi_c(text) if "e" in "".join(options) else text) + "\n", True)


def formatted(shell: Shell, call: Call) -> Flow:
    """Gives what `printf` prints; with `-v` it sets a variable."""
    texts = call.texts
    if any(word.dynamic for word in call.rest):
        return Flow(call.tags, None, True)
    if texts[:1] == ["-v"] and len(texts) > 2:
        shell.variables[texts[1]] = _formatted(texts[2:])
        return NOTHING
    return Flow(call.tags, _formatted(texts), True)


def _formatted(texts: list[str]) -> str:
    """Gives what printf prints of plain texts."""
    if texts[:1] == ["--"]:
        texts = texts[1:]
    if not texts:
        return ""
    form = ansi_c(texts[0])
    values = texts[1:]
    values.reverse()

    def put(match: re.Match[str]) -> str:
        value = values.pop() if values else ""
        if match[1] == "c":
            return value[:1]
        return ansi_c(value.partition("\\c")[0]) if match[1] == "b" else value

    # The format is used again for the values that are left.
    printed = []
    for _ in range(_MAX_TURNS):
        left = len(values)
        printed.append(_DIRECTIVE.sub(put, form).replace("%%", "%"))
        if not values or len(values) == left:
            break
    return "".join(printed)
