"""From a command line to what it would run, touch and reach."""

import re

from tree_sitter import Node

from hookgate.facts.paths import resolved
from hookgate.facts.shell.call import MAX_ARGUMENTS, Call, call_of, fact_of, program_of
from hookgate.facts.shell.effects import effect
from hookgate.facts.shell.flow import NOTHING, Flow
from hookgate.facts.shell.frame import OUTERMOST, Frame
from hookgate.facts.shell.grammar import Unreadable, parse
from hookgate.facts.shell.interpreters import code_option
from hookgate.facts.shell.loose import loose_commands
from hookgate.facts.shell.options import Options
from hookgate.facts.shell.programs import CODE_OPTIONS
from hookgate.facts.shell.splitting import multiplied
from hookgate.facts.shell.state import Shell
from hookgate.facts.shell.statements import visit
from hookgate.facts.shell.steering import note_assignments, note_shells
from hookgate.facts.shell.touch import mentions, touch
from hookgate.facts.shell.unwrapping import ASSIGNMENT, run_wrapped, unwrapped
from hookgate.facts.shell.words import Word

_MAX_NESTED = 8
_MAX_PIPED_WORDS = 64
_STARTS_SHELL = re.compile(r"(?:Process|exec|spawn|system)\w*\s*\(\s*\[?['\"]/bin/(?:ba)?sh\b")
_OPENS_DEVICE = re.compile(r"\d<>\s*[\"']?/dev/(?:tcp|udp)/")
#: The shell that reads the line, by another name.
_ITSELF = re.compile(r"^/proc/[^/]+/exe$")
_SHELL_VARIABLES = frozenset(["$0", "$shell", "$bash"])
#: A variable alone is how scripts name their tools: `$CC`, `"$@"`.
_VARIABLE = re.compile(r"^\$(?:\w+|[@*])$")
_PATTERN = re.compile(r"[^$][*?]|^[*?].|\[[^\]]+\]|\{.*,.*\}")
#: Programs in them are the system's.
_SYSTEM = ("/bin/", "/usr/bin/", "/usr/local/bin/", "/opt/homebrew/")
_FOREIGN = frozenset({"network", "decoded"})


class CommandReader(Shell):
    """Reads the command lines of one call into a ledger."""

    def read(self, text: str, frame: Frame = OUTERMOST) -> Flow:
        """Reads a command line, at whatever depth it stands; what can't be read makes the call opaque."""
        if frame.nested > _MAX_NESTED:
            self.ledger.reasons["too_deep"] = None
            return NOTHING
        source, letters, depth, behind = self.source, self.ascii, self.depth, self.behind
        try:
            if _OPENS_DEVICE.search(text):
                # The grammar does not know `<>`.
                self.ledger.shapes["network_device"] = None
            read = text.encode("utf-8", "replace")
            root = parse(read, self.budget)
            self.source, self.behind = read, []
            self.ascii = text if len(read) == len(text) else ""
            flow = self.visit(root, frame)
            if root.has_error:
                self._loosely(text, frame)
            return flow
        except Unreadable as error:
            self.ledger.reasons[str(error)] = None
            return NOTHING
        finally:
            self.source, self.ascii, self.depth, self.behind = source, letters, depth, behind

    def visit(self, node: Node, frame: Frame) -> Flow:
        """Reads what stands at a node of the syntax tree."""
        return visit(self, node, frame)

    def run(self, words: list[Word], assigned: list[str], frame: Frame) -> Flow:
        """Notes a command and whatever it runs itself; gives what comes out of it."""
        self.budget.spend(len(words))
        while len(words) > 1 and ASSIGNMENT.match(words[0].text):
            assigned = [*assigned, words[0].text]
            words = words[1:]
        if words[0].text in self.aliases:
            words = [*self.aliases[words[0].text], *words[1:]]
        first = words[0]
        program = program_of(first.text)
        if not first.text.isalpha():
            program = self._known_as(first, program)
        if not first.text.isascii():
            self.ledger.reasons["look_alike"] = None
        wrapped = unwrapped(self, program, words)
        if wrapped is not None:
            return run_wrapped(self, wrapped, assigned, frame)
        if assigned:
            note_assignments(self, assigned, program, frame)
        call = call_of(program, words, frame)
        if len(call.rest) > MAX_ARGUMENTS:
            self.ledger.reasons["too_many_arguments"] = None
        self.ledger.command(fact_of(call, assigned, self.cwd))
        if "/" in first.text and not first.text.startswith(_SYSTEM):
            self.execute(first, program)
        if first.tags:
            self.interpreted(first.tags & _FOREIGN)
        self._touch(call)
        note_shells(self, call)
        return effect(self, call)

    def _known_as(self, word: Word, program: str) -> str:
        """Gives the program that a name stands for; where that is computed, nobody can tell."""
        text = word.text
        if "/" in text:
            if self.copies and (copied := self.copies.get(resolved(text, self.cwd))):
                return copied
            if _ITSELF.match(text):
                return "bash"
        elif word.dynamic and program in _SHELL_VARIABLES:
            return "bash"
        name = text.rpartition("/")[2]
        if (word.dynamic and "$" in name and not _VARIABLE.match(name)) or (word.plain and _PATTERN.search(name)):
            self.ledger.reasons["computed_program"] = None
        return program

    def _touch(self, call: Call) -> None:
        program, options, cwd = call.program, call.options, self.cwd
        if program == "git":
            for option, value in options.values:
                if option == "-C":
                    cwd = resolved(value.text, cwd)
        if "xargs" in call.frame.wrappers:
            piped = call.frame.flow.text
            if piped is not None:
                more = [Word(text) for text in piped.split()[:_MAX_PIPED_WORDS]]
                options = Options(options.flags, options.operands + more, options.values)
            elif program == "rm" and "--recursive" in options.flags:
                self.ledger.shapes["deletes_from_pipe"] = None
        elif program == "rm" and "--recursive" in options.flags and "read" in call.tags:
            self.ledger.shapes["deletes_from_pipe"] = None
        if program in CODE_OPTIONS and code_option(program, call.words):
            for word in call.rest:
                if len(word.text) < 256:
                    mentions(self.ledger, program, word, cwd)
        else:
            touch(self.ledger, program, options, call.rest, cwd)

    def _loosely(self, text: str, frame: Frame) -> None:
        """Reads what is no valid syntax once more: a shell runs what comes before the fault."""
        if text.replace("\\'", "").replace('\\"', "").count("'") % 2 or text.count('"') % 2:
            self.ledger.reasons["parse_error"] = None
        if _STARTS_SHELL.search(text):
            self.ledger.shapes["shell_from_program"] = None
        seen = {(command.program, command.args) for command in self.ledger.commands}
        for words in loose_commands(text):
            self.budget.spend()
            words = [one for word in words for one in (multiplied(self, word) if "{" in word.text else (word,))]  # noqa: PLW2901
            texts = tuple(word.text for word in words[1:])
            if (program_of(words[0].text), texts) not in seen:
                self.run(words, [], frame)
