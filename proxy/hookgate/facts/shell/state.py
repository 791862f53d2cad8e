"""What is known while the command lines of one call are read."""

from abc import ABC, abstractmethod

from tree_sitter import Node

from hookgate.facts.ledger import Ledger
from hookgate.facts.model import Access
from hookgate.facts.shell.flow import Flow
from hookgate.facts.shell.frame import Frame
from hookgate.facts.shell.grammar import Budget
from hookgate.facts.shell.words import NO_TAGS, Word

#: What comes from elsewhere, and so must not become code.
_FOREIGN = frozenset({"network", "decoded"})


class Shell(ABC):
    """The state of the shell that would run a call's commands: its directory, its variables, what files and variables were made of.

    Commands run others, and texts are command lines again: what reads a part of one has `visit`, `run` and `read` for what stands
    inside.
    """

    def __init__(self, ledger: Ledger, cwd: str) -> None:
        self.ledger = ledger
        self.cwd = cwd
        self.budget = Budget()
        #: The text that is read, in UTF-8: the offsets of nodes are bytes.
        self.source = b""
        #: The same as text, where bytes and letters are one; else empty.
        self.ascii = ""
        #: How deep in the tree the node stands that is visited.
        self.depth = 0
        #: Values of variables; None where it is known only when it runs.
        self.variables: dict[str, str | None] = {}
        #: The words of arrays, as far as they are known, and of the positional parameters as `@`.
        self.arrays: dict[str, list[Word]] = {}
        #: Names under which other commands run.
        self.aliases: dict[str, list[Word]] = {}
        #: Files that are links to programs, or copies of them: by path, the program.
        self.copies: dict[str, str] = {}
        #: How often the body of a loop is read, for the values of its variable.
        self.turns = 1
        #: Words behind a redirection, which belong to the command before it.
        self.behind: list[Word] = []
        #: Where the content of files (by their path) and variables (by `$` and their name) is from.
        self.made: dict[str, frozenset[str]] = {}

    @abstractmethod
    def read(self, text: str, frame: Frame) -> Flow:
        """Reads a command line; what can't be read makes the call opaque."""

    @abstractmethod
    def visit(self, node: Node, frame: Frame) -> Flow:
        """Reads what stands at a node of the syntax tree."""

    @abstractmethod
    def run(self, words: list[Word], assigned: list[str], frame: Frame) -> Flow:
        """Notes a command and whatever it runs itself; gives what comes out of it."""

    def text(self, node: Node) -> str:
        """Gives what is written at a node."""
        if self.ascii:
            return self.ascii[node.start_byte : node.end_byte]
        return self.source[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def origin(self, path: str) -> frozenset[str]:
        """Gives where the content of a file is from, or of a variable by its name with `$`."""
        return self.made.get(path, NO_TAGS)

    def fill(self, paths: list[str], tags: frozenset[str]) -> None:
        """Notes where the content of files is from."""
        for path in paths:
            if tags:
                self.made[path] = tags
            else:
                self.made.pop(path, None)

    def interpreted(self, tags: frozenset[str]) -> None:
        """Notes the shape of something that becomes code, where it is from elsewhere."""
        if not tags:
            return
        if "network" in tags:
            self.ledger.shapes["network_to_interpreter"] = None
        elif "decoded" in tags:
            self.ledger.shapes["decoded_to_interpreter"] = None
        elif "archive" in tags:
            self.ledger.shapes["archive_to_interpreter"] = None

    def interpreted_foreign(self, tags: frozenset[str]) -> None:
        """Notes it unless it was only unpacked, which is how ordinary scripts come about."""
        self.interpreted(tags & _FOREIGN)

    def executed(self, path: str) -> None:
        """Notes that a file runs as a program."""
        made = self.made.get(path)
        if made:
            if "network" in made:
                self.ledger.shapes["download_executed"] = None
            elif "decoded" in made:
                self.ledger.shapes["decoded_to_interpreter"] = None

    def execute(self, word: Word, program: str) -> None:
        """Notes that the file of a word runs as a program."""
        found = self.ledger.path(word.text, self.cwd, Access.EXECUTE, program=program, dynamic=word.dynamic)
        if found is not None:
            self.executed(found.path)
