"""Every form in which managed settings reach a client: how it is written, and how it is read back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from hookgate.client.forms import ansible, macos, text, windows
from hookgate.client.managed import Platform, bridge_settings, managed_settings, server_settings
from hookgate.client.plan import Plan


@dataclass(frozen=True, slots=True)
class Form:
    """One of them: its name, the file that it becomes, what that is for, and on which platforms it counts."""

    name: str
    file: str
    use: str
    render: Callable[[Plan, str], bytes]
    platforms: tuple[Platform, ...]


def _for(platform: Platform, render: Callable[[dict[str, Any]], bytes]) -> Callable[[Plan, str], bytes]:
    return lambda plan, _: render(managed_settings(plan, platform))


FORMS = {
    form.name: form
    for form in (
        Form(
            "json", "managed-settings.json", "the file on Linux", _for(Platform.LINUX, text.render), (Platform.LINUX,)
        ),
        Form(
            "drop-in",
            "managed-settings.d/90-hookgate.json",
            "beside a file of somebody else's, on Linux",
            _for(Platform.LINUX, text.render),
            (Platform.LINUX,),
        ),
        Form(
            "mobileconfig",
            "hookgate.mobileconfig",
            "a macOS configuration profile",
            lambda plan, team: macos.profile(managed_settings(plan, Platform.MACOS), plan.organization, team),
            (Platform.MACOS,),
        ),
        Form(
            "plist",
            "com.anthropic.claudecode.plist",
            "custom settings in Jamf, and other MDMs that ask for a domain's property list",
            _for(Platform.MACOS, macos.render),
            (Platform.MACOS,),
        ),
        Form(
            "reg",
            "hookgate.reg",
            "the registry, by group policy or by hand",
            _for(Platform.WINDOWS, windows.registry),
            (Platform.WINDOWS,),
        ),
        Form(
            "powershell",
            "hookgate.ps1",
            "a platform script in Intune",
            _for(Platform.WINDOWS, windows.script),
            (Platform.WINDOWS,),
        ),
        Form(
            "server",
            "server-managed-settings.json",
            "the console's managed settings",
            lambda plan, _: text.render(server_settings(plan)),
            (Platform.ANY,),
        ),
        Form(
            "ansible",
            "hookgate.ansible.yaml",
            "tasks for Linux and macOS",
            lambda plan, _: ansible.render(
                managed_settings(plan, Platform.LINUX), managed_settings(plan, Platform.MACOS)
            ),
            (Platform.LINUX, Platform.MACOS),
        ),
        Form(
            "bridge",
            "hook.json",
            "the configuration of `hookgate hook`, where the plan has a bridge",
            lambda plan, _: text.render(bridge_settings(plan)),
            (),
        ),
    )
}


def parsed(path: PurePath, raw: bytes) -> Any:
    """Reads back what a file of any form holds. Raises ValueError: it is none."""
    match path.suffix.lower():
        case ".plist" | ".mobileconfig":
            return macos.parse(raw)
        case ".reg":
            return windows.parse_registry(raw)
        case ".ps1":
            return windows.parse_script(raw)
        case ".yaml" | ".yml":
            return ansible.parse(raw)
        case _:
            return text.parse(raw)
