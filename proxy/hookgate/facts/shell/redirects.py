"""Redirections: what a command reads and writes beside its words."""

import re

from tree_sitter import Node

from hookgate.facts.model import Access
from hookgate.facts.shell.expansion import WORD_NODES, word_of
from hookgate.facts.shell.flow import NOTHING, Flow
from hookgate.facts.shell.frame import Frame
from hookgate.facts.shell.options import NO_OPTIONS
from hookgate.facts.shell.state import Shell
from hookgate.facts.shell.touch import touch
from hookgate.facts.shell.words import NO_TAGS, Word

REDIRECTS = frozenset(["file_redirect", "heredoc_redirect", "herestring_redirect"])
_DEVICE = re.compile(r"/dev/(?:tcp|udp)/")
_NOT_BEHIND = frozenset(["heredoc_end", "file_descriptor"])
_BACKTICKS = re.compile(r"(?<!\\)`([^`]+)`")
_MAX_BACKTICKS = 16
_LISTS = frozenset(["&&", "||", ";"])
#: They name descriptors, not files.
_DESCRIPTORS = frozenset([">&", "<&", ">&-", "<&-"])


class Redirects:
    """The redirections of one command: what flows into it, which files take what comes out of it, and what stands behind them.

    `after` holds the nodes that the grammar hangs below a here-document's first line, each with whether it reads the command's
    output.
    """

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.outputs: list[str] = []
        self.after: list[tuple[Node, bool]] = []

    def add(self, shell: Shell, node: Node, frame: Frame) -> None:
        """Reads one redirection."""
        kind = node.type
        if kind == "file_redirect":
            self._file(shell, node, frame)
        elif kind == "heredoc_redirect":
            self._here_document(shell, node, frame)
        else:
            words = [word_of(shell, child, frame) for child in node.named_children if child.type in WORD_NODES]
            if words:
                self.flow = Flow(words[-1].tags, words[-1].text, True)

    def _here_document(self, shell: Shell, node: Node, frame: Frame) -> None:
        quoted = False
        for child in node.named_children:
            kind = child.type
            if kind == "heredoc_start":
                quoted = shell.text(child)[:1] in "'\"\\"
            elif kind == "heredoc_body":
                for part in child.named_children:
                    shell.visit(part, frame)
                text = shell.text(child)
                if "`" in text and not quoted:
                    # The grammar does not see these.
                    for command in _BACKTICKS.findall(text)[:_MAX_BACKTICKS]:
                        shell.read(command, Frame(frame.wrappers, NOTHING, frame.nested + 1))
                self.flow = Flow(NO_TAGS, text, True)
            elif kind in REDIRECTS:
                self.add(shell, child, frame)
            elif kind not in _NOT_BEHIND:
                listed = any(one.type in _LISTS for one in node.children)
                self.after.append((child, not listed))

    def _file(self, shell: Shell, node: Node, frame: Frame) -> None:
        operator = next((child.type for child in node.children if "<" in child.type or ">" in child.type), ">")
        seen = False
        for child in node.named_children:
            if child.type == "file_descriptor":
                continue
            word = word_of(shell, child, frame)
            if seen:
                shell.behind.append(word)
                continue
            seen = True
            if _DEVICE.search(word.text):
                self._device(shell, word, operator)
            elif not word.text or operator in _DESCRIPTORS or child.type == "process_substitution":
                if word.tags and "<" in operator:
                    self.flow = Flow(self.flow.tags | word.tags, None, True)
            else:
                self._path(shell, word, operator)

    def _device(self, shell: Shell, word: Word, operator: str) -> None:
        shell.ledger.shapes["network_device"] = None
        touch(shell.ledger, "/dev/tcp", NO_OPTIONS, [word], shell.cwd)
        if "<" in operator:
            self.flow = Flow(self.flow.tags | {"network"}, None, True)

    def _path(self, shell: Shell, word: Word, operator: str) -> None:
        access = Access.READ if operator == "<" else Access.WRITE
        program = "<" if access is Access.READ else ">"
        found = shell.ledger.path(word.text, shell.cwd, access, program=program, dynamic=word.dynamic)
        if found is None:
            return
        if access is Access.READ:
            self.flow = Flow(shell.origin(found.path), None, True)
        else:
            self.outputs.append(found.path)
