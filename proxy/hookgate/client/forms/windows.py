"""Windows: the registry value that the client reads, as a file for regedit and as a script for Intune."""

import json
import re
from typing import Any

from hookgate.client.forms.text import compact

KEY = "SOFTWARE\\Policies\\ClaudeCode"
VALUE = "Settings"
_HEAD = "Windows Registry Editor Version 5.00"
_LINE = re.compile(rf'^"{VALUE}"="((?:[^"\\]|\\.)*)"\r?$', re.MULTILINE)
_HERE = re.compile(r"^\$settings = @'\r?\n(.*?)\r?\n'@\r?$", re.MULTILINE | re.DOTALL)

_SCRIPT = """\
# Hookgate: managed settings of Claude Code. Made by `hookgate settings`.
# Intune: Devices > Scripts and remediations > Platform scripts. Run this script using the logged on credentials: No.
$ErrorActionPreference = 'Stop'

$settings = @'
{settings}
'@

# The 64-bit view, in whichever host the script runs.
$machine = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]::LocalMachine, [Microsoft.Win32.RegistryView]::Registry64)
$key = $machine.CreateSubKey('{key}')
try {{
    $key.SetValue('{value}', $settings, [Microsoft.Win32.RegistryValueKind]::String)
    if ($key.GetValue('{value}') -cne $settings) {{
        throw 'HKLM\\{key}: {value} is not what was written.'
    }}
}}
finally {{
    $key.Dispose()
    $machine.Dispose()
}}
"""


def registry(content: dict[str, Any]) -> bytes:
    """Gives the file in UTF-16 with a byte order mark, as regedit writes it."""
    escaped = compact(content).replace("\\", "\\\\").replace('"', '\\"')
    lines = [_HEAD, "", f"[HKEY_LOCAL_MACHINE\\{KEY}]", f'"{VALUE}"="{escaped}"', "", ""]
    return b"\xff\xfe" + "\r\n".join(lines).encode("utf-16-le")


def script(content: dict[str, Any]) -> bytes:
    """Gives the script, in ASCII. JSON in one line never begins a line with what ends a here-string."""
    made = _SCRIPT.format(settings=compact(content), key=KEY, value=VALUE)
    return made.replace("\n", "\r\n").encode("ascii")


def parse_registry(raw: bytes) -> Any:
    """Reads the settings back. Raises ValueError."""
    if not raw.startswith(b"\xff\xfe"):
        raise ValueError("no registry file in UTF-16")
    text = raw[2:].decode("utf-16-le")
    found = _LINE.search(text)
    if not text.startswith(_HEAD) or f"[HKEY_LOCAL_MACHINE\\{KEY}]" not in text or found is None:
        raise ValueError(f"no registry file with {KEY}")
    return json.loads(re.sub(r"\\(.)", r"\1", found[1]))


def parse_script(raw: bytes) -> Any:
    """Reads the settings back. Raises ValueError."""
    found = _HERE.search(raw.decode("utf-8-sig"))
    if found is None:
        raise ValueError("no script with $settings")
    return json.loads(found[1])
