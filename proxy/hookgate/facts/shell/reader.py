"""From a command line to what it would run, touch and reach."""

import posixpath
import re
from typing import NamedTuple

from tree_sitter import Node

from hookgate.facts.ledger import MAX_TEXT_CHARACTERS, Ledger
from hookgate.facts.model import Access, CommandFact
from hookgate.facts.paths import resolved
from hookgate.facts.shell.code import inside
from hookgate.facts.shell.flow import NOTHING, Flow
from hookgate.facts.shell.grammar import Budget, Unreadable, parse
from hookgate.facts.shell.loose import loose_commands
from hookgate.facts.shell.options import options_of
from hookgate.facts.shell.programs import CODE_OPTIONS, INTERPRETERS, NETWORK, PROGRAMS, SHELLS, SUBCOMMANDS
from hookgate.facts.shell.touch import mentions, touch
from hookgate.facts.shell.words import Word, ansi_c, hides, unescaped
from hookgate.facts.shell.wrappers import LOOKS, WRAPPERS

_MAX_DEPTH = 60
_MAX_NESTED = 8
_ASSIGNMENT = re.compile(r"^[A-Za-z_]\w*\+?=")
_SHELL_WORD = re.compile(
    r"(?:^|[\s=:!'\"({|,;])(?:/usr/local|/usr)?/bin/(?:ba|z|da|k|a|fi|c|tc)?sh(?=$|[\s'\"),;|&\\}])"
)
_DEVICE = re.compile(r"/dev/(?:tcp|udp)/")
_STEERING = re.compile(
    r"^(?:LD_PRELOAD|LD_LIBRARY_PATH|LD_AUDIT|DYLD_\w+|BASH_ENV|ENV|PROMPT_COMMAND|PERL5OPT|PERL5LIB|RUBYOPT|PYTHONSTARTUP|"
    r"NODE_OPTIONS|GIT_SSH_COMMAND|GIT_EXTERNAL_DIFF|GIT_PAGER|GIT_EDITOR|GIT_ASKPASS|LESSOPEN|LESSCLOSE|PAGER|MANPAGER|VISUAL|EDITOR|BROWSER|"
    r"CLAUDE_CODE_SHELL_PREFIX|\w+_COMMAND|\w+_ASKPASS)$"
)
_ALWAYS_STEERING = re.compile(r"^(?:LD_PRELOAD|LD_AUDIT|DYLD_INSERT_LIBRARIES|BASH_ENV|CLAUDE_CODE_SHELL_PREFIX)$")
_TEXT_ONLY = frozenset(
    [
        "echo",
        "printf",
        "ls",
        "which",
        "type",
        "file",
        "stat",
        "test",
        "[",
        "chsh",
        "grep",
        "rg",
        "cat",
        "ln",
        "man",
        "info",
        "shellcheck",
        "command",
    ]
)
#: What they run, runs on another machine or in a container, where a shell is the way in.
_ELSEWHERE = frozenset(
    ["docker", "podman", "nerdctl", "kubectl", "oc", "docker-compose", "az", "aws", "vagrant", "ssh"]
)
_WORDS = frozenset(["word", "string", "raw_string", "ansi_c_string", "concatenation", "number", "simple_expansion", "expansion", "command_substitution", "process_substitution", "arithmetic_expansion", "brace_expression", "extglob_pattern", "translated_string", "regex", "variable_name", "special_variable_name", "test_operator", "string_content"])  # fmt: skip


class Frame(NamedTuple):
    """Where a command stands."""

    wrappers: tuple[str, ...] = ()
    flow: Flow = NOTHING
    nested: int = 0
    depth: int = 0


class CommandReader:
    """Reads the command lines of one call into a ledger."""

    def __init__(self, ledger: Ledger, cwd: str) -> None:
        self._ledger = ledger
        self._cwd = cwd
        self._source = b""
        self._budget = Budget()
        self._variables: dict[str, str | None] = {}
        #: Words behind a redirection, which belong to the command before it.
        self._behind: list[Word] = []
        #: Files that the command itself made of what came from elsewhere.
        self._made: dict[str, frozenset[str]] = {}

    def read(self, text: str, frame: Frame = Frame()) -> Flow:  # noqa: B008 (immutable)
        """Reads a command line, at whatever depth it stands; what can't be read makes the call opaque."""
        if frame.nested > _MAX_NESTED:
            self._ledger.reasons["too_deep"] = None
            return NOTHING
        outer = self._source
        try:
            source = text.encode("utf-8", "replace")
            root = parse(source, self._budget)
            self._source = source
            flow = self._visit(root, frame)
            if root.has_error:
                self._loosely(text, frame)
            return flow
        except Unreadable as error:
            self._ledger.reasons[str(error)] = None
            return NOTHING
        finally:
            self._source = outer

    def _loosely(self, text: str, frame: Frame) -> None:
        if text.replace("\\'", "").replace('\\"', "").count("'") % 2 or text.count('"') % 2:
            self._ledger.reasons["parse_error"] = None
        if re.search(r"(?:Process|exec|spawn|system)\w*\s*\(\s*\[?['\"]/bin/(?:ba)?sh\b", text):
            self._ledger.shapes["shell_from_program"] = None
        seen = {(command.program, command.args) for command in self._ledger.commands}
        for words in loose_commands(text):
            self._budget.spend()
            texts = tuple(word.text for word in words[1:])
            if (_program(words[0].text), texts) not in seen:
                self._run(words, [], frame)

    # The tree.

    def _text(self, node: Node) -> str:
        return self._source[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def _visit(self, node: Node, frame: Frame) -> Flow:
        self._budget.spend()
        if frame.depth > _MAX_DEPTH:
            raise Unreadable("too_deep")
        kind = node.type
        method = _VISITS.get(kind)
        if method is not None:
            return method(self, node, frame)
        if kind in _WORDS:
            word = self._word(node, frame)
            return Flow(word.tags)
        return self._all(node, frame)

    def _all(self, node: Node, frame: Frame) -> Flow:
        inner = frame._replace(depth=frame.depth + 1)
        flows = [self._visit(child, inner) for child in node.named_children]
        flows = [flow for flow in flows if flow.present or flow.tags]
        if len(flows) == 1:
            return flows[0]
        return Flow(frozenset[str]().union(*(flow.tags for flow in flows)), None, bool(flows))

    def _apart(self, node: Node, frame: Frame) -> Flow:
        """A subshell: what it changes ends with it."""
        cwd, variables = self._cwd, dict(self._variables)
        try:
            return self._all(node, frame)
        finally:
            self._cwd, self._variables = cwd, variables

    def _pipeline(self, node: Node, frame: Frame) -> Flow:
        flow = frame.flow
        for child in node.named_children:
            flow = self._visit(child, frame._replace(flow=flow, depth=frame.depth + 1))
            flow = flow._replace(present=True)
        return flow

    def _redirected(self, node: Node, frame: Frame) -> Flow:
        inner = frame._replace(depth=frame.depth + 1)
        flow = frame.flow
        body: list[Node] = []
        after: list[tuple[Node, bool]] = []
        outputs: list[str] = []
        children = node.named_children
        if children and children[0].type == "list":
            # A redirection behind `a && b` belongs to b alone, which runs where a has gone.
            first = children[0].named_children
            for child in first[:-1]:
                self._visit(child, inner)
            children = [*first[-1:], *children[1:]]
        for child in children:
            if child.type in ("file_redirect", "heredoc_redirect", "herestring_redirect"):
                flow = self._redirect(child, inner, flow, outputs, after)
            else:
                body.append(child)
        result = NOTHING
        for child in body:
            result = self._visit(child, inner._replace(flow=flow))
        if not body and flow.present:
            result = flow
        self._wrote(outputs, result if body else flow)
        for child, piped in after:
            visited = self._visit(child, inner._replace(flow=result._replace(present=True) if piped else frame.flow))
            result = visited if piped else result
        return result

    def _redirect(
        self, node: Node, frame: Frame, flow: Flow, outputs: list[str], after: list[tuple[Node, bool]]
    ) -> Flow:
        if node.type == "herestring_redirect":
            words = [self._word(child, frame) for child in node.named_children if child.type in _WORDS]
            return Flow(words[-1].tags, words[-1].text, True) if words else flow
        if node.type == "heredoc_redirect":
            for child in node.named_children:
                if child.type == "heredoc_body":
                    self._all(child, frame)
                    flow = Flow(frozenset(), self._text(child), True)
                elif child.type == "file_redirect":
                    flow = self._redirect(child, frame, flow, outputs, after)
                elif child.type not in ("heredoc_start", "heredoc_end", "file_descriptor"):
                    listed = any(one.type in ("&&", "||", ";") for one in node.children)
                    after.append((child, not listed))
            return flow
        operator = next((child.type for child in node.children if "<" in child.type or ">" in child.type), ">")
        seen = False
        for child in node.named_children:
            if child.type == "file_descriptor":
                continue
            word = self._word(child, frame)
            if seen:
                self._behind.append(word)
                continue
            seen = True
            if _DEVICE.search(word.text):
                self._ledger.shapes["network_device"] = None
                touch(self._ledger, "/dev/tcp", (), [], [], [word], self._cwd)
                if "<" in operator:
                    flow = Flow(flow.tags | {"network"}, None, True)
                continue
            if not word.text or operator in (">&", "<&", ">&-", "<&-") or child.type == "process_substitution":
                if word.tags and "<" in operator:
                    flow = Flow(flow.tags | word.tags, None, True)
                continue
            access = Access.READ if operator == "<" else Access.WRITE
            found = self._ledger.path(
                word.text, self._cwd, access, program="<" if access is Access.READ else ">", dynamic=word.dynamic
            )
            if found is not None and access is Access.READ:
                flow = Flow(self._made.get(found.path, frozenset()), None, True)
            elif found is not None:
                outputs.append(found.path)
            if operator == "<>" and found is not None:
                outputs.append(found.path)
        return flow

    def _wrote(self, outputs: list[str], flow: Flow) -> None:
        for path in outputs:
            if flow.tags:
                self._made[path] = flow.tags
            else:
                self._made.pop(path, None)

    def _assignment(self, node: Node, frame: Frame) -> Flow:
        self._assign(node, frame)
        return NOTHING

    def _assign(self, node: Node, frame: Frame) -> tuple[str, Word]:
        name, value = "", Word("")
        for child in node.named_children:
            if child.type in ("variable_name", "subscript") and not name:
                name = self._text(child)
            elif child.type == "array":
                self._all(child, frame)
                value = Word("", dynamic=True)
            else:
                value = self._word(child, frame)
        if name:
            self._variables[name] = None if value.dynamic else value.text
            if value.tags:
                self._made["$" + name] = value.tags
        return name, value

    def _declaration(self, node: Node, frame: Frame) -> Flow:
        program = self._text(node).split(None, 1)[0]
        words: list[Word] = [Word(program)]
        assigned: list[str] = []
        for child in node.named_children:
            if child.type == "variable_assignment":
                name, value = self._assign(child, frame)
                assigned.append(f"{name}={value.text}")
            else:
                words.append(self._word(child, frame))
        return self._run(words, assigned, frame)

    def _command(self, node: Node, frame: Frame) -> Flow:
        words: list[Word] = []
        assigned: list[str] = []
        before = dict(self._variables)
        flow = frame.flow
        outputs: list[str] = []
        after: list[tuple[Node, bool]] = []
        for child in node.named_children:
            kind = child.type
            if kind == "variable_assignment" and not words:
                name, value = self._assign(child, frame)
                assigned.append(f"{name}={value.text}")
            elif kind in ("file_redirect", "herestring_redirect", "heredoc_redirect"):
                flow = self._redirect(child, frame, flow, outputs, after)
            elif kind == "command_name":
                named = child.named_children
                word = self._word(named[0], frame) if named else Word(self._text(child))
                # A variable outside quotes is cut into words.
                if word.plain and named and named[0].type in ("simple_expansion", "expansion") and " " in word.text:
                    words += [word._replace(text=text) for text in word.text.split()]
                else:
                    words.append(word)
            else:
                words.append(self._word(child, frame))
        words += self._behind
        self._behind = []
        if not words:
            return NOTHING
        result = self._run(words, assigned, frame._replace(flow=flow))
        self._variables = before if assigned else self._variables
        self._wrote(outputs, result)
        return result

    def _function(self, node: Node, frame: Frame) -> Flow:
        name = next((self._text(child) for child in node.named_children if child.type == "word"), "")
        body = self._text(node)
        if name and re.search(re.escape(name) + r"\s*\|\s*" + re.escape(name) + r"\s*&", body):
            self._ledger.shapes["fork_bomb"] = None
        self._all(node, frame)
        return NOTHING

    def _loop(self, node: Node, frame: Frame) -> Flow:
        values: list[Word] = []
        name = ""
        for child in node.named_children:
            if child.type == "variable_name":
                name = self._text(child)
            elif child.type == "do_group":
                self._variables[name] = values[0].text if len(values) == 1 and not values[0].dynamic else None
                self._all(child, frame)
            elif child.type in _WORDS:
                values.append(self._word(child, frame))
        return NOTHING

    def _unset(self, node: Node, frame: Frame) -> Flow:
        for child in node.named_children:
            name = self._text(child)
            self._variables[name] = self._variables.get(name)
        return NOTHING

    def _lone_redirect(self, node: Node, frame: Frame) -> Flow:
        """`$(<file)`, and a redirection without a command."""
        return self._redirect(node, frame, NOTHING, [], [])

    def _nothing(self, node: Node, frame: Frame) -> Flow:
        return NOTHING

    # Words.

    def _word(self, node: Node, frame: Frame) -> Word:
        self._budget.spend()
        kind = node.type
        if kind == "word":
            return Word(unescaped(self._text(node)), plain=True)
        if kind == "raw_string":
            return Word(self._text(node)[1:-1])
        if kind in ("number", "string_content", "variable_name"):
            return Word(self._text(node), plain=kind == "number")
        if kind == "ansi_c_string":
            text = self._text(node)[2:-1]
            if hides(text):
                self._ledger.reasons["ansi_quoting"] = None
            return Word(ansi_c(text))
        if kind == "simple_expansion":
            return self._variable(self._text(node)[1:])
        if kind == "expansion":
            return self._expansion(node, frame)
        if kind in ("string", "concatenation", "translated_string", "command_name"):
            return self._joined(node, frame)
        if kind in ("command_substitution", "process_substitution"):
            flow = self._apart(node, frame._replace(depth=frame.depth + 1, flow=NOTHING))
            if kind == "command_substitution" and flow.text is not None and "\0" not in flow.text:
                return Word(flow.text.rstrip("\n"), dynamic=False, tags=flow.tags)
            return Word("$()" if kind == "command_substitution" else "/dev/fd/$", dynamic=True, tags=flow.tags)
        self._all(node, frame)
        return Word(self._text(node), dynamic=kind == "arithmetic_expansion", plain=True)

    def _joined(self, node: Node, frame: Frame) -> Word:
        if frame.depth > _MAX_DEPTH:
            raise Unreadable("too_deep")
        quoted = node.type == "string"
        parts: list[str] = []
        dynamic, plain, tags = False, not quoted, frozenset[str]()
        at = node.start_byte + (1 if quoted else 0)
        end = node.end_byte - (1 if quoted else 0)
        for child in node.named_children:
            # Spaces between the parts of a text belong to it, and are no node.
            if child.start_byte > at:
                parts.append(self._source[at : child.start_byte].decode("utf-8", "replace"))
            word = self._word(child, frame._replace(depth=frame.depth + 1))
            at = child.end_byte
            parts.append(_in_quotes(word.text) if child.type == "string_content" else word.text)
            dynamic, plain, tags = dynamic or word.dynamic, plain and word.plain, tags | word.tags
        if at < end:
            parts.append(self._source[at:end].decode("utf-8", "replace"))
        return Word("".join(parts), dynamic, plain, tags)

    def _variable(self, name: str) -> Word:
        if name in self._variables:
            value = self._variables[name]
            tags = self._made.get("$" + name, frozenset())
            return (
                Word(f"${name}", dynamic=True, plain=True, tags=tags)
                if value is None
                else Word(value, plain=True, tags=tags)
            )
        if name == "HOME":
            return Word("~", plain=True)
        if name == "PWD":
            return Word(self._cwd, plain=True)
        if name == "TMPDIR":
            return Word("/tmp", plain=True)  # noqa: S108 (as text)
        if name == "IFS":
            return Word(" ", plain=True)
        return Word(f"${name}", dynamic=True, plain=True, tags=self._made.get("$" + name, frozenset()))

    def _expansion(self, node: Node, frame: Frame) -> Word:
        """`${name}`, `${name:-word}` and their kin; those that compute are dynamic."""
        children = node.named_children
        written = self._text(node)
        match = re.match(r"^\$\{(\w+)(:?[-+=?])?", written)
        words = [self._word(child, frame) for child in children[1:]] if children else []
        if match is None:
            return Word(written, dynamic=True, plain=True)
        known = self._variable(match[1])
        if written == f"${{{match[1]}}}":
            return known._replace(text=f"${match[1]}") if known.dynamic else known
        if match[2]:
            other = written[match.end() : -1]
            is_set = match[1] in self._variables or match[1] in ("HOME", "PWD")
            if match[2].endswith("+"):
                return Word(other, plain=True) if is_set else Word("", dynamic=True)
            return known if is_set and not known.dynamic else Word(other, dynamic=any(word.dynamic for word in words))
        return Word(f"${{{match[1]}}}", dynamic=True, plain=True, tags=known.tags)

    # Commands.

    def _run(self, words: list[Word], assigned: list[str], frame: Frame) -> Flow:
        """Notes a command and whatever it runs itself; gives what comes out of it."""
        self._budget.spend()
        while len(words) > 1 and _ASSIGNMENT.match(words[0].text):
            assigned = [*assigned, words[0].text]
            words = words[1:]
        program = _program(words[0].text)
        if not words[0].text.isascii():
            self._ledger.reasons["look_alike"] = None
        wrapper = WRAPPERS.get(program)
        if (
            wrapper is not None
            and len(words) > 1
            and not (program in LOOKS and LOOKS[program] & {word.text for word in words[1:3]})
        ):
            inner = self._unwrapped(program, words, frame)
            if inner is not None:
                return self._wrapped(program, inner, words, assigned, frame)
        self._steering(assigned, program)
        options = options_of(program, words[1:])
        fact = CommandFact(
            program=program[:MAX_TEXT_CHARACTERS],
            path=words[0].text[:MAX_TEXT_CHARACTERS],
            args=tuple(word.text[:MAX_TEXT_CHARACTERS] for word in words[1:257]),
            flags=options.flags[:256],
            operands=tuple(word.text[:MAX_TEXT_CHARACTERS] for word in options.operands[:256]),
            subcommand=options.operands[0].text.lower()[:64] if options.operands and program in SUBCOMMANDS else "",
            wrappers=frame.wrappers,
            assignments=tuple(one[:MAX_TEXT_CHARACTERS] for one in assigned[:64]),
            cwd=self._cwd,
            piped=frame.flow.present,
            dynamic=any(word.dynamic for word in words),
        )
        if len(words) > 257:
            self._ledger.reasons["too_many_arguments"] = None
        self._ledger.command(fact)
        if "/" in words[0].text and not words[0].text.startswith(
            ("/bin/", "/usr/bin/", "/usr/local/bin/", "/opt/homebrew/")
        ):
            found = self._ledger.path(
                words[0].text, self._cwd, Access.EXECUTE, program=program, dynamic=words[0].dynamic
            )
            self._executed(found.path if found else "")
        if words[0].tags & {"network", "decoded"}:
            self._ledger.shapes[_shape(words[0].tags)] = None
        cwd = self._cwd
        if program == "git":
            for option, value in options.values:
                if option == "-C":
                    cwd = resolved(value.text, cwd)
        operands = options.operands
        if "xargs" in frame.wrappers and frame.flow.text is not None:
            operands = operands + [Word(text) for text in frame.flow.text.split()[:64]]
        if program == "rm" and "--recursive" in options.flags and "xargs" in frame.wrappers and frame.flow.text is None:
            self._ledger.shapes["deletes_from_pipe"] = None
        if program in CODE_OPTIONS and options_code(program, words):
            for word in words[1:]:
                if len(word.text) < 256:
                    mentions(self._ledger, program, word, cwd)
        else:
            touch(self._ledger, program, options.flags, operands, options.values, words[1:], cwd)
        self._shells(program, words, frame)
        return self._effects(program, words, options.operands, options.flags, options.values, frame)

    def _unwrapped(self, program: str, words: list[Word], frame: Frame) -> list[Word] | None:
        """Gives the words of the command that a wrapper runs; None where it runs none."""
        wrapper = WRAPPERS[program]
        rest = words[1:]
        if wrapper.only and not any(word.text in wrapper.only for word in rest[:4]):
            return None
        if wrapper.behind and any(word.text == wrapper.behind for word in rest):
            at = next(at for at, word in enumerate(rest) if word.text == wrapper.behind)
            return rest[at + 1 :] or None
        if wrapper.behind == "--" and not wrapper.skip:
            return None
        skip, at = wrapper.skip, 0
        while at < len(rest):
            text = rest[at].text
            if program == "env" and (text in ("-S", "--split-string") or text.startswith("-S")):
                return [
                    Word(one) for one in (text[2:] or " ".join(word.text for word in rest[at + 1 :])).split()
                ] or None
            if program == "start-stop-daemon" and text in ("-x", "--exec", "-a", "--startas"):
                return rest[at + 1 :] or None
            if text == "--":
                at += 1
                if not skip:
                    break
            elif text.startswith("-") and len(text) > 1:
                at += 2 if text in wrapper.values else 1
            elif _ASSIGNMENT.match(text) and program in ("env", "sudo", "doas"):
                if _ALWAYS_STEERING.match(text.partition("=")[0]):
                    self._ledger.shapes["steered_program"] = None
                at += 1
            elif skip:
                skip -= 1
                at += 1
            else:
                break
        return rest[at:] or None

    def _wrapped(self, program: str, inner: list[Word], words: list[Word], assigned: list[str], frame: Frame) -> Flow:
        """A program that runs another is noted where it has a meaning of its own, and the other one in it."""
        if program in SUBCOMMANDS or program in ("chroot", "nsenter", "unshare", "pkexec"):
            options = options_of(program, words[1:])
            self._ledger.command(
                CommandFact(
                    program,
                    words[0].text,
                    tuple(word.text[:MAX_TEXT_CHARACTERS] for word in words[1:257]),
                    options.flags[:256],
                    tuple(word.text[:MAX_TEXT_CHARACTERS] for word in options.operands[:256]),
                    options.operands[0].text.lower()[:64] if options.operands and program in SUBCOMMANDS else "",
                    frame.wrappers,
                    tuple(assigned[:64]),
                    self._cwd,
                    frame.flow.present,
                    any(word.dynamic for word in words),
                )
            )
        if program in ("ltrace", "strace"):
            for word in words[1 : len(words) - len(inner)]:
                mentions(self._ledger, program, word, self._cwd)
        if program in ("docker", "podman", "nerdctl", "kubectl", "oc", "lxc", "ssh") or program in (
            "chroot",
            "nsenter",
        ):
            # Elsewhere: its paths are not those of this machine.
            for word in words[1 : len(words) - len(inner)]:
                mentions(self._ledger, program, word, self._cwd)
        cwd = self._cwd
        if program == "env":
            for at, word in enumerate(words):
                if word.text in ("-C", "--chdir") and at + 1 < len(words):
                    self._cwd = resolved(words[at + 1].text, cwd)
        if program == "watch" and len(inner) == 1:
            flow = self.read(inner[0].text, self._inside(frame, program))
        elif program in ("script", "flock") and inner[0].text in ("-c", "--command") and len(inner) > 1:
            flow = self.read(inner[1].text, self._inside(frame, program))
        elif program == "xargs" and frame.flow.text is not None and "-I" in " ".join(w.text for w in words[1:4]):
            marks = [w.text[2:] or words[at + 1].text for at, w in enumerate(words[:-1]) if w.text.startswith("-I")]
            mark = marks[0] if marks else "{}"
            text = frame.flow.text.strip()
            flow = self._run(
                [w._replace(text=w.text.replace(mark, text)) for w in inner], assigned, self._outer(frame, program)
            )
        else:
            flow = self._run(inner, assigned, self._outer(frame, program))
        self._cwd = cwd
        return flow

    def _outer(self, frame: Frame, program: str) -> Frame:
        if len(frame.wrappers) > 16:
            raise Unreadable("too_deep")
        return frame._replace(wrappers=(*frame.wrappers, program))

    def _inside(self, frame: Frame, program: str) -> Frame:
        return self._outer(frame, program)._replace(nested=frame.nested + 1)

    def _steering(self, assigned: list[str], program: str) -> None:
        for one in assigned:
            name, _, value = one.partition("=")
            if _ALWAYS_STEERING.match(name) and value:
                self._ledger.shapes["steered_program"] = None
            elif _STEERING.match(name) and _SHELL_WORD.search(value):
                self._ledger.shapes["shell_from_program"] = None
            elif name.endswith("_COMMAND") and value.startswith("/"):
                self._ledger.shapes["steered_program"] = None

    def _shells(self, program: str, words: list[Word], frame: Frame) -> None:
        """A shell that another program is told to start, and one that waits for a person."""
        if program in SHELLS:
            if len(words) == 1 and not frame.flow.present and not _ELSEWHERE & set(frame.wrappers):
                self._ledger.shapes["bare_shell"] = None
            return
        if any("/inet/tcp/" in word.text for word in words[1:]):
            self._ledger.shapes["network_device"] = None
        if program in _TEXT_ONLY:
            if program in ("echo", "printf") and any(
                re.search(r"(?:exec\s+|^|\n|[:|!]\s*)(?:/usr)?/bin/(?:ba|z|da)?sh\s*[<\d]", word.text)
                for word in words[1:]
            ):
                self._ledger.shapes["shell_from_program"] = None
            return
        if (program == "ssh" or program not in _ELSEWHERE) and any(
            "sh" in word.text and _SHELL_WORD.search(word.text) for word in words[1:]
        ):
            self._ledger.shapes["shell_from_program"] = None

    def _effects(
        self,
        program: str,
        words: list[Word],
        operands: list[Word],
        flags: tuple[str, ...],
        values: list[tuple[str, Word]],
        frame: Frame,
    ) -> Flow:
        """What a command runs itself, changes for those behind it, and hands on."""
        tags = frozenset[str]().union(*(word.tags for word in words[1:]))
        texts = [word.text for word in words[1:]]
        flow = frame.flow
        if program in ("cd", "pushd"):
            target = operands[0] if operands else Word("~")
            self._cwd = resolved(target.text, self._cwd) if not target.dynamic and target.text != "-" else self._cwd
            return NOTHING
        if program in ("echo", "printf"):
            return self._printed(program, texts, tags, words)
        if program in INTERPRETERS:
            return self._interpreter(program, words, operands, tags, frame)
        if program == "eval":
            return self._text_run(" ".join(texts), tags, frame, program)
        if program in ("source", "."):
            if tags & {"network", "decoded"} or (texts and texts[0] in ("/dev/stdin", "-") and flow.tags):
                self._ledger.shapes[_shape(tags | flow.tags)] = None
            for text in texts[:1]:
                self._executed(resolved(text, self._cwd))
            return NOTHING
        if program == "ssh" and len(operands) > 1:
            self.read(" ".join(word.text for word in operands[1:]), self._inside(frame, program))
        if program in ("su", "runuser", "script", "flock", "sg", "nix-shell"):
            for at, text in enumerate(texts[:-1]):
                if text in ("-c", "--command", "--run"):
                    self.read(texts[at + 1], self._inside(frame, program))
        if program in ("trap", "alias") and texts:
            self.read(texts[0].partition("=")[2] if program == "alias" else texts[0], self._inside(frame, program))
        if program == "find":
            self._find(words, frame)
        if program == "parallel":
            self._parallel(texts, frame)
        if program in ("awk", "gawk", "mawk"):
            for match in re.findall(r"system\(\s*\"((?:[^\"\\]|\\.)*)\"", " ".join(texts))[:8]:
                self.read(match, self._inside(frame, program))
        if program in ("socat", "ncat", "nc", "netcat"):
            self._sockets(program, texts, flags)
        if program == "rsync":
            for option, value in values:
                if option in ("-e", "--rsh") and len(value.text.split()) > 1:
                    self.read(value.text, self._inside(frame, program))
        return self._handed_on(program, words, operands, flags, values, flow, tags)

    def _handed_on(
        self,
        program: str,
        words: list[Word],
        operands: list[Word],
        flags: tuple[str, ...],
        values: list[tuple[str, Word]],
        flow: Flow,
        tags: frozenset[str],
    ) -> Flow:
        if (
            program not in PROGRAMS
            and program not in NETWORK
            and any(word.text in ("curl", "wget") for word in words[1:])
        ):
            # A program that nobody knows, with a download on its line: it may well run it.
            tags |= {"network"}
        reaches = program in NETWORK and not (
            program == "curl" and words[1:] and all(not _far(word) for word in words[1:])
        )
        sent = reaches and (
            flow.present and program in ("curl", "nc", "ncat", "netcat", "ssh", "telnet", "wget", "http")
        )
        if sent and ("file" in flow.tags or "secret" in flow.tags):
            self._ledger.shapes["file_to_network"] = None
        if program in ("base64", "base32", "base58", "basez", "uudecode", "xxd", "openssl", "gunzip", "zcat"):
            decodes = {"--decode", "-d", "-D", "-r", "-di", "-rp"} & (
                set(flags) | {word.text for word in words[1:]}
            ) or program in ("uudecode",)
            decodes = decodes or (
                program == "base64" and any(re.match(r"^-[a-zA-Z]*[dD]", word.text) for word in words[1:])
            )
            if decodes or program in ("gunzip", "zcat"):
                return Flow(flow.tags | tags | {"decoded"} if decodes else flow.tags | tags, None, True)
        if program in ("tar", "unzip") and any(
            re.match(r"^-{0,2}[a-zA-Z]*[xOp]|^--to-stdout", word.text) for word in words[1:3]
        ):
            tags |= {"archive"}
        if reaches:
            tags |= {"network"}
            for option, value in values:
                if option in ("-o", "--output", "-O", "--output-document"):
                    self._made[resolved(value.text, self._cwd)] = frozenset({"network"})
            if program == "curl" and {"-O", "--remote-name"} & set(flags):
                for word in operands:
                    name = posixpath.basename(word.text.partition("?")[0])
                    self._made[resolved(name, self._cwd)] = frozenset({"network"})
            if program == "wget" and not any(option in ("-O", "--output-document") for option, _ in values):
                for word in operands:
                    name = posixpath.basename(word.text.partition("?")[0])
                    self._made[resolved(name, self._cwd)] = frozenset({"network"})
        if program == "tee":
            self._wrote([resolved(word.text, self._cwd) for word in operands], flow)
            return flow
        if program in ("cp", "mv", "ln", "install") and len(operands) > 1:
            made = frozenset[str]().union(
                *(self._made.get(resolved(word.text, self._cwd), frozenset()) for word in operands[:-1])
            )
            self._wrote([resolved(operands[-1].text, self._cwd)], Flow(made))
        if program == "rm":
            for word in operands:
                self._made.pop(resolved(word.text, self._cwd), None)
        if program == "cat":
            if not operands:
                return flow
            made = frozenset[str]().union(
                *(self._made.get(resolved(word.text, self._cwd), frozenset()) for word in operands)
            )
            return Flow(made | tags | {"file"}, None, True)
        if program in ("read", "mapfile", "readarray"):
            for word in operands:
                self._variables[word.text] = None
                if flow.tags:
                    self._made["$" + word.text] = flow.tags
        passes = program not in PROGRAMS or program in (
            "sed",
            "awk",
            "grep",
            "tr",
            "head",
            "tail",
            "sort",
            "uniq",
            "cut",
        )
        return Flow((flow.tags if passes else frozenset()) | tags, None, True)

    def _printed(self, program: str, texts: list[str], tags: frozenset[str], words: list[Word]) -> Flow:
        if any(word.dynamic for word in words[1:]):
            return Flow(tags, None, True)
        if program == "echo":
            options = [text for text in texts[:2] if re.fullmatch(r"-[neE]+", text)]
            text = " ".join(texts[len(options) :])
            return Flow(tags, (ansi_c(text) if "e" in "".join(options) else text) + "\n", True)
        if texts[:1] == ["-v"] and len(texts) > 2:
            self._variables[texts[1]] = _formatted(texts[2:])
            return NOTHING
        return Flow(tags, _formatted(texts), True)

    def _interpreter(
        self, program: str, words: list[Word], operands: list[Word], tags: frozenset[str], frame: Frame
    ) -> Flow:
        """A shell or an interpreter: code on its line, a script, or what it reads."""
        texts = [word.text for word in words[1:]]
        flow = frame.flow
        inner = self._inside(frame, program)
        if program in ("pwsh", "powershell"):
            for at, text in enumerate(texts):
                if re.match(r"(?i)^-e(?:nc|ncodedcommand)?$", text):
                    self._ledger.reasons["encoded_command"] = None
                elif re.match(r"(?i)^-f", text) and at + 1 < len(texts):
                    self._executed(resolved(texts[at + 1], self._cwd))
        elif program in SHELLS:
            for at, text in enumerate(texts):
                if not text.startswith(("-", "+")):
                    break
                if re.match(r"^-[a-zA-Z]*c[a-zA-Z]*$", text):
                    code = next((word for word in words[at + 2 :] if not word.text.startswith("-")), None)
                    if code is not None:
                        return self._text_run(code.text, tags, frame, program)
                    if "xargs" in frame.wrappers or "parallel" in frame.wrappers:
                        self._ledger.shapes["pipe_to_interpreter"] = None
                    break
        else:
            code = options_code(program, words)
            if code is not None:
                self._code(program, code.text, frame)
                if code.tags & {"network", "decoded"}:
                    self._ledger.shapes[_shape(code.tags)] = None
                return Flow(tags, None, True)
        if program == "python" and "-m" in texts:
            return Flow(tags, None, True)
        scripts = [word for word in operands if word.text not in ("-",)]
        if program in SHELLS and any(text in ("-s", "-") or re.match(r"^-[a-z]*s[a-z]*$", text) for text in texts):
            scripts = []
        if scripts:
            self._executed(resolved(scripts[0].text, self._cwd))
            if scripts[0].tags & {"network", "decoded"}:
                self._ledger.shapes[_shape(scripts[0].tags)] = None
            if scripts[0].text.startswith(("/dev/stdin", "/dev/fd/", "/proc/")) and flow.tags:
                self._ledger.shapes[_shape(flow.tags)] = None
            if program in SHELLS or not flow.present or scripts[0].text != "/dev/stdin":
                return Flow(tags, None, True)
        if "-n" in texts and program in SHELLS:
            return Flow(tags, None, True)
        if flow.tags & {"network", "decoded", "archive"}:
            self._ledger.shapes[_shape(flow.tags)] = None
        if flow.text is not None:
            if program in SHELLS:
                return self.read(flow.text, inner._replace(flow=NOTHING))
            self._code(program, flow.text, frame)
        return Flow(tags, None, True)

    def _text_run(self, text: str, tags: frozenset[str], frame: Frame, program: str) -> Flow:
        if tags & {"network", "decoded"} or ("xargs" in frame.wrappers and frame.flow.tags & {"network", "decoded"}):
            self._ledger.shapes[_shape(tags | frame.flow.tags)] = None
        return self.read(text, self._inside(frame, program))

    def _code(self, program: str, code: str, frame: Frame) -> None:
        found = inside(code)
        for path, access, recursive in found.paths:
            self._ledger.path(path, self._cwd, access, program=program, recursive=recursive)
        for url in found.urls:
            self._ledger.url(url, program=program)
        for command in found.commands:
            self.read(command, self._inside(frame, program))
        if _SHELL_WORD.search(code):
            self._ledger.shapes["shell_from_program"] = None
        if re.search(r"\bsocket\b|TCPSocket|fsockopen|net\.(?:connect|Socket)|/dev/tcp/|/inet/", code) and re.search(
            r"/bin/(?:ba)?sh|dup2|\bexec|subprocess|spawn", code
        ):
            self._ledger.shapes["shell_over_network"] = None
        if re.search(r"(?:\bexec|\beval)\s*\(", code) and re.search(
            r"urlopen|requests\.|b64decode|fetch\(|fromhex|decode\(", code
        ):
            self._ledger.shapes[
                "network_to_interpreter" if "url" in code or "requests" in code else "decoded_to_interpreter"
            ] = None

    def _executed(self, path: str) -> None:
        made = self._made.get(path)
        if made and made & {"network", "decoded"}:
            self._ledger.shapes["download_executed" if "network" in made else "decoded_to_interpreter"] = None

    def _find(self, words: list[Word], frame: Frame) -> None:
        at = 0
        while at < len(words):
            if words[at].text in ("-exec", "-execdir", "-ok", "-okdir"):
                end = next((i for i in range(at + 1, len(words)) if words[i].text in (";", "+", "\\;")), len(words))
                roots = [word for word in words[1:at] if not word.text.startswith("-")][:1] or [Word(".")]
                inner = [word._replace(text=word.text.replace("{}", roots[0].text)) for word in words[at + 1 : end]]
                if inner:
                    self._run(inner, [], self._outer(frame, "find"))
                at = end
            at += 1

    def _parallel(self, texts: list[str], frame: Frame) -> None:
        if ":::" not in texts:
            start = next((at for at, text in enumerate(texts) if not text.startswith("-")), len(texts))
            rest = texts[start:]
            if rest:
                self._run([Word(text) for text in rest], [], self._outer(frame, "xargs"))
            return
        at = texts.index(":::")
        at_command = next((i for i, text in enumerate(texts) if not text.startswith("-")), at)
        command = " ".join(texts[at_command:at])
        for value in texts[at + 1 :][:16]:
            if re.fullmatch(r"(?:\S*/)?(?:ba|z|da)?sh -c", command):
                self.read(value, self._inside(frame, "parallel"))
            else:
                text = command.replace("{}", value) if "{}" in command else f"{command} {value}"
                self.read(text, self._inside(frame, "parallel"))

    def _sockets(self, program: str, texts: list[str], flags: tuple[str, ...]) -> None:
        joined = " ".join(texts)
        if re.search(r"(?i)(?:exec|system|shell)\b.*?:?['\"]?.*\b(?:ba|z|da|k)?sh\b|\bSHELL\b", joined) or (
            program != "socat" and re.search(r"(?:^|\s)-\w*[ec]\s*\S*sh\b|--(?:sh-)?exec", joined)
        ):
            self._ledger.shapes["shell_over_network"] = None
        if program == "socat":
            for match in re.findall(r"(?i)(?:exec|system):'?([^,']+)", joined)[:4]:
                self.read(match.replace("\\ ", " "), Frame(("socat",), NOTHING, 1, 0))


def options_code(program: str, words: list[Word]) -> Word | None:
    """Gives the code that stands on an interpreter's line; None where there is none."""
    for at, word in enumerate(words[1:], 1):
        if word.text in CODE_OPTIONS[program] or (
            program in ("perl", "ruby") and re.fullmatch(r"-[a-zA-Z0-9]*[eE]", word.text)
        ):
            return words[at + 1] if at + 1 < len(words) else None
        if program.startswith("python") and re.fullmatch(r"-[A-Za-z]*c", word.text) and at + 1 < len(words):
            return words[at + 1]
        if not word.text.startswith("-"):
            return None
    return None


def _program(text: str) -> str:
    name = posixpath.basename(text.replace("\\", "/") if ":\\" in text else text).lower()
    name = name.removesuffix(".exe")
    return re.sub(r"^(python|pip|perl|ruby|php|lua|node)[\d.]+$", r"\1", name)


def _shape(tags: frozenset[str]) -> str:
    if "network" in tags:
        return "network_to_interpreter"
    return "decoded_to_interpreter" if "decoded" in tags else "archive_to_interpreter"


def _far(word: Word) -> bool:
    text = word.text.removeprefix("--url=")
    return not text.startswith("-") and not text.startswith("file:")


def _in_quotes(text: str) -> str:
    return re.sub(r"\\([$`\"\\])", r"\1", text.replace("\\\n", "")) if "\\" in text else text


def _formatted(texts: list[str]) -> str | None:
    """Gives what printf prints of plain texts."""
    if texts[:1] == ["--"]:
        texts = texts[1:]
    if not texts:
        return ""
    form = ansi_c(texts[0])
    values = iter(texts[1:])

    def put(match: re.Match[str]) -> str:
        value = next(values, "")
        return ansi_c(value.partition("\\c")[0]) if match[1] == "b" else value

    return re.sub(r"%[-\d.]*([sbdq])", put, form).replace("%%", "%")


_VISITS = {
    "pipeline": CommandReader._pipeline,
    "subshell": CommandReader._apart,
    "command_substitution": CommandReader._apart,
    "process_substitution": CommandReader._apart,
    "redirected_statement": CommandReader._redirected,
    "variable_assignment": CommandReader._assignment,
    "declaration_command": CommandReader._declaration,
    "command": CommandReader._command,
    "function_definition": CommandReader._function,
    "for_statement": CommandReader._loop,
    "unset_command": CommandReader._unset,
    "file_redirect": CommandReader._lone_redirect,
    "comment": CommandReader._nothing,
}
