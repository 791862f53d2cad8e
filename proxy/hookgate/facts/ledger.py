"""What is found while a command line is read, each list within its bound."""

from hookgate.facts.model import MAX_ENTRIES, Access, CommandFact, HostFact, PathFact
from hookgate.facts.paths import fact
from hookgate.facts.urls import browser_host, has_scheme, plain_host

MAX_TEXT_CHARACTERS = 4096


class Ledger:
    """Commands, paths, hosts, shapes and reasons, in the order in which they came up, without repeats."""

    def __init__(self, cwd: str) -> None:
        self.project = cwd
        self.commands: list[CommandFact] = []
        self.paths: dict[tuple[str, Access, str], PathFact] = {}
        self.hosts: dict[tuple[str, str], HostFact] = {}
        self.shapes: dict[str, None] = {}
        self.reasons: dict[str, None] = {}

    def command(self, found: CommandFact) -> None:
        """Adds a command."""
        if len(self.commands) < MAX_ENTRIES:
            self.commands.append(found)
        else:
            self.reasons["too_many_commands"] = None

    def path(
        self,
        written: str,
        cwd: str,
        access: Access,
        *,
        program: str = "",
        recursive: bool = False,
        dynamic: bool = False,
        trim: bool = False,
    ) -> PathFact | None:
        """Adds a path, as it is written in a directory; None where there is no room."""
        if len(written) > MAX_TEXT_CHARACTERS:
            self.reasons["path_too_long"] = None
            written = written[:MAX_TEXT_CHARACTERS]
        found = fact(
            written, cwd, access, trim=trim, project=self.project, program=program, recursive=recursive, dynamic=dynamic
        )
        key = (found.path, access, program)
        if key not in self.paths and len(self.paths) >= MAX_ENTRIES:
            self.reasons["too_many_paths"] = None
            return None
        if key not in self.paths or recursive:
            self.paths[key] = found
        return found

    def host(self, name: str, *, url: str = "", program: str = "") -> None:
        """Adds a host by its name."""
        name = name.lower().rstrip(".")[:256]
        if not name or (name, program) in self.hosts:
            return
        if len(self.hosts) >= MAX_ENTRIES:
            self.reasons["too_many_hosts"] = None
            return
        self.hosts[name, program] = HostFact(name, url[:MAX_TEXT_CHARACTERS], program)

    def url(self, url: str, *, program: str = "") -> None:
        """Adds the host of an address; where two readers find different ones, both, and it is opaque."""
        url_read = url if has_scheme(url) else "http://" + url
        one = browser_host(url_read)
        self.host(one, url=url, program=program)
        if program:
            other = plain_host(url_read)
            if other != one and other and one:
                self.host(other, url=url, program=program)
                self.reasons["ambiguous_url"] = None
        if not one:
            self.reasons["url_invalid"] = None
