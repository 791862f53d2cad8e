"""The settings files that a client reads, in the order of what they count for (HOOKS: managed above all)."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from getpass import getuser
from itertools import pairwise
from pathlib import Path
from typing import Any

from hookgate.client.forms import parsed
from hookgate.client.forms.macos import DOMAIN

MANAGED_FILE = "managed-settings.json"
_MAX_FILE_BYTES = 4 * 1024 * 1024
_ON_FAILURE = ("block", "continue")


class Scope(IntEnum):
    """Whose settings a file holds; the larger counts for more."""

    USER = 1
    PROJECT = 2
    LOCAL = 3
    MANAGED = 4


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """One file. `fault` says why its content is not known."""

    scope: Scope
    path: Path
    content: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""

    @property
    def is_managed(self) -> bool:
        """Whether an agent's user can't change it, if its rights are as they should be."""
        return self.scope is Scope.MANAGED

    def place(self, key: str = "") -> str:
        """Names a key of it."""
        return f"{self.path}: {key}" if key else str(self.path)

    @property
    def env(self) -> Mapping[str, Any]:
        """What it adds to the environment."""
        found = self.content.get("env")
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Hook:
    """One hook's entry, and where it stands."""

    file: SettingsFile
    event: str
    key: str
    matcher: Any
    entry: Mapping[str, Any]

    @property
    def url(self) -> str:
        """Where it is sent; empty unless it is an http hook."""
        url = self.entry.get("url")
        return url if self.entry.get("type") == "http" and isinstance(url, str) else ""

    @property
    def is_bridge(self) -> bool:
        """Whether it runs `hookgate hook`."""
        words = self.words
        return any(one.rpartition("/")[2] == "hookgate" and following == "hook" for one, following in pairwise(words))

    @property
    def words(self) -> list[str]:
        """The command line that it runs; none unless it is a command hook."""
        command, arguments = self.entry.get("command"), self.entry.get("args")
        if self.entry.get("type") != "command" or not isinstance(command, str):
            return []
        # Without a list of arguments a shell takes the command apart.
        return [command, *map(str, arguments)] if isinstance(arguments, list) else command.split()

    @property
    def place(self) -> str:
        """Names it."""
        return self.file.place(self.key)


def managed_directory(platform: str = sys.platform) -> Path:
    """Gives where a system's managed settings are. Linux's was measured; the others are as documented by the client."""
    if platform == "darwin":
        return Path("/Library/Application Support/ClaudeCode")
    if platform == "win32":
        return Path("C:/Program Files/ClaudeCode")
    return Path("/etc/claude-code")


def managed_preferences(platform: str = sys.platform) -> list[Path]:
    """Gives where macOS keeps what a profile forced, as the client reads it: for this user, then for all. Not measured."""
    directory = Path("/Library/Managed Preferences")
    name = f"{DOMAIN}.plist"
    return [directory / getuser() / name, directory / name] if platform == "darwin" else []


def settings_files(project: Path, environ: Mapping[str, str], managed: Path | None = None) -> list[SettingsFile]:
    """Reads all that are there, those that count most first."""
    managed = managed or managed_directory()
    home = Path(environ.get("HOME") or Path.home())
    user = Path(environ.get("CLAUDE_CONFIG_DIR") or home / ".claude")
    # One managed source counts, the strongest that is there (so the client's documentation).
    forced = [path for path in managed_preferences() if _is_there(path)][:1]
    places = [
        *(
            (Scope.MANAGED, path)
            for path in forced or [managed / MANAGED_FILE, *_drop_ins(managed / "managed-settings.d")]
        ),
        (Scope.LOCAL, project / ".claude" / "settings.local.json"),
        (Scope.PROJECT, project / ".claude" / "settings.json"),
        (Scope.USER, user / "settings.json"),
    ]
    # A project that is the home directory has its settings where the user's are.
    seen: set[Path] = set()
    found = []
    for scope, path in places:
        if path not in seen and _is_there(path):
            seen.add(path)
            found.append(read(scope, path))
    return found


def read(scope: Scope, path: Path) -> SettingsFile:
    """Reads one file, in any form in which settings are pushed."""
    try:
        with path.open("rb") as stream:
            content = parsed(path, stream.read(_MAX_FILE_BYTES))
    except OSError as error:
        return SettingsFile(scope, path, fault=error.strerror or type(error).__name__)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        return SettingsFile(scope, path, fault="no JSON")
    except ValueError as error:
        return SettingsFile(scope, path, fault=str(error))
    if not isinstance(content, dict):
        return SettingsFile(scope, path, fault="no JSON object")
    return SettingsFile(scope, path, content)


def hooks_of(file: SettingsFile) -> Iterator[Hook]:
    """Gives the hooks of a file, as far as they can be read."""
    events = file.content.get("hooks")
    for event, groups in events.items() if isinstance(events, dict) else ():
        for i, group in enumerate(groups if isinstance(groups, list) else ()):
            entries = group.get("hooks") if isinstance(group, dict) else None
            for j, entry in enumerate(entries if isinstance(entries, list) else ()):
                if isinstance(entry, dict):
                    yield Hook(file, event, f"hooks.{event}[{i}].hooks[{j}]", group.get("matcher"), entry)


def invalid_entries(file: SettingsFile) -> Iterator[tuple[str, str]]:
    """Gives the key of each entry for which a client would drop the file's hooks, and what is wrong."""
    events = file.content.get("hooks", {})
    if not isinstance(events, dict):
        yield "hooks", "expected an object"
        return
    for event, groups in events.items():
        if not isinstance(groups, list):
            yield f"hooks.{event}", "expected a list"
            continue
        for i, group in enumerate(groups):
            entries = group.get("hooks") if isinstance(group, dict) else None
            if not isinstance(entries, list):
                yield f"hooks.{event}[{i}]", "expected an object with a list `hooks`"
                continue
            for j, entry in enumerate(entries):
                if fault := _entry_fault(entry):
                    yield f"hooks.{event}[{i}].hooks[{j}]", fault


def merged_env(files: Sequence[SettingsFile], environ: Mapping[str, str]) -> dict[str, str]:
    """Gives the environment that the client works with: the process's, then user, project, local and managed settings."""
    env = dict(environ)
    for file in sorted(files, key=lambda one: one.scope):
        env |= {name: str(value) for name, value in file.env.items()}
    return env


def setting(files: Sequence[SettingsFile], *keys: str) -> tuple[Any, SettingsFile | None]:
    """Gives the first value among files, and its file; keys lead into objects."""
    for file in files:
        value: Any = file.content
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            return value, file
    return None, None


def _entry_fault(entry: Any) -> str:
    if not isinstance(entry, dict):
        return "expected an object"
    if not isinstance(entry.get("type"), str):
        return "type is missing"
    if entry["type"] != "http":
        return ""
    url = entry.get("url")
    if not isinstance(url, str) or "://" not in url:
        return "url must be an absolute URL"
    headers = entry.get("headers", {})
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        return "headers must hold texts"
    names = entry.get("allowedEnvVars", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return "allowedEnvVars must be a list of texts"
    timeout = entry.get("timeout", 1)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout <= 0:
        return "timeout must be a number above 0"
    if entry.get("onFailure", "block") not in _ON_FAILURE:
        return "onFailure must be block or continue"
    return ""


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _drop_ins(directory: Path) -> list[Path]:
    try:
        return sorted(path for path in directory.iterdir() if path.suffix == ".json")
    except OSError:
        return []
