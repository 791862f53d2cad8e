"""Ansible: tasks that put the drop-in into place on Linux and macOS."""

from typing import Any

import yaml

from hookgate.client.forms import text

PLACES = {"Linux": "/etc/claude-code", "Darwin": "/Library/Application Support/ClaudeCode"}
_NAME = "90-hookgate.json"


class _Unsafe(str):
    """Text that Ansible takes as it is, whatever looks like a template in it."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Knows such texts, and writes texts of several lines as blocks."""


_Dumper.add_representer(_Unsafe, lambda dumper, value: dumper.represent_scalar("!unsafe", str(value), style="|"))


class _Loader(yaml.SafeLoader):
    """Reads them back."""


def _unsafe(_: yaml.SafeLoader, node: yaml.Node) -> _Unsafe:
    return _Unsafe(node.value)


_Loader.add_constructor("!unsafe", _unsafe)


def render(linux: dict[str, Any], macos: dict[str, Any]) -> bytes:
    """Gives the tasks, for `ansible.builtin.import_tasks` in a play that becomes root and gathers facts."""
    tasks = []
    for system, content in (("Linux", linux), ("Darwin", macos)):
        directory = f"{PLACES[system]}/managed-settings.d"
        when = f"ansible_facts['system'] == '{system}'"
        tasks += [
            {
                "name": f"Directory of Claude Code's managed settings ({system})",
                "ansible.builtin.file": {"path": directory, "state": "directory", "owner": "root", "mode": "0755"},
                "when": when,
            },
            {
                "name": f"Hooks of Hookgate ({system})",
                "ansible.builtin.copy": {
                    "dest": f"{directory}/{_NAME}",
                    "content": _Unsafe(text.render(content).decode()),
                    "owner": "root",
                    "mode": "0644",
                },
                "when": when,
            },
        ]
    made = yaml.dump(tasks, Dumper=_Dumper, sort_keys=False, width=10_000)
    return f"# Made by `hookgate settings`.\n{made}".encode()


def parse(raw: bytes, system: str = "Linux") -> Any:
    """Reads one system's settings back. Raises ValueError."""
    try:
        tasks = yaml.load(raw, _Loader)  # noqa: S506 (a SafeLoader)
        for task in tasks:
            copy = task.get("ansible.builtin.copy")
            if copy and str(copy["dest"]).startswith(PLACES[system]):
                return text.parse(str(copy["content"]).encode())
    except (yaml.YAMLError, TypeError, AttributeError, KeyError):
        pass
    raise ValueError("no tasks of `hookgate settings`")
