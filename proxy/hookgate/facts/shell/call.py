"""A command about to run: its words, read by the rules of its program."""

import posixpath
import re

import msgspec

from hookgate.facts.ledger import MAX_TEXT_CHARACTERS
from hookgate.facts.model import CommandFact
from hookgate.facts.shell.frame import Frame
from hookgate.facts.shell.options import Options, options_of
from hookgate.facts.shell.programs import SUBCOMMANDS
from hookgate.facts.shell.words import NO_TAGS, Word

#: Words that are kept of a line, without the program.
MAX_ARGUMENTS = 256
_MAX_ASSIGNMENTS = 64
#: The system's loader, given a program.
_LOADER = re.compile(r"(?:^|/)ld-(?:linux|musl)[\w.-]*$")
_VERSIONED = re.compile(r"^(python|pip|perl|ruby|php|lua|node)[\d.]+$")


class Call(msgspec.Struct, frozen=True):
    """A command: `rest` are the words behind the program, `texts` what they say, `tags` what flows into them."""

    program: str
    words: list[Word]
    rest: list[Word]
    texts: list[str]
    options: Options
    tags: frozenset[str]
    dynamic: bool
    #: A word is longer than what is kept of it.
    long: bool
    frame: Frame


def call_of(program: str, words: list[Word], frame: Frame) -> Call:
    """Gives the call that words make."""
    tags, dynamic, long, texts = NO_TAGS, words[0].dynamic, False, []
    rest = words[1:]
    for word in rest:
        texts.append(word.text)
        long = long or len(word.text) > MAX_TEXT_CHARACTERS
        dynamic = dynamic or word.dynamic
        if word.tags:
            tags |= word.tags
    return Call(program, words, rest, texts, options_of(program, rest), tags, dynamic, long, frame)


def program_of(text: str) -> str:
    """Gives the base name of a program in lower case, without `.exe` and the version of an interpreter."""
    if text.isalpha():
        return text.lower()
    if "ld-" in text and _LOADER.search(text):
        return "ld.so"
    name = posixpath.basename(text.replace("\\", "/") if ":\\" in text else text).lower()
    return _VERSIONED.sub(r"\1", name.removesuffix(".exe"))


def fact_of(call: Call, assigned: list[str], cwd: str) -> CommandFact:
    """Gives the fact about a call."""
    texts, operands = call.texts[:MAX_ARGUMENTS], [word.text for word in call.options.operands[:MAX_ARGUMENTS]]
    return CommandFact(
        call.program[:MAX_TEXT_CHARACTERS],
        call.words[0].text[:MAX_TEXT_CHARACTERS],
        _cut(texts) if call.long else tuple(texts),
        call.options.flags[:MAX_ARGUMENTS],
        _cut(operands) if call.long else tuple(operands),
        operands[0].lower()[:64] if operands and call.program in SUBCOMMANDS else "",
        call.frame.wrappers,
        _cut(assigned[:_MAX_ASSIGNMENTS]) if assigned else (),
        cwd,
        call.frame.flow.present,
        call.dynamic,
    )


def _cut(texts: list[str]) -> tuple[str, ...]:
    return tuple([text[:MAX_TEXT_CHARACTERS] for text in texts])
