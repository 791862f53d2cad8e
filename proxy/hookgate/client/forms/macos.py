"""macOS: a property list of the client's preference domain, and a configuration profile that forces it."""

import plistlib
import uuid
from typing import Any
from xml.parsers.expat import ExpatError

DOMAIN = "com.anthropic.claudecode"
_IDENTIFIER = "dev.hookgate.claude-code"
_PREFERENCES = "com.apple.ManagedClient.preferences"


def render(content: dict[str, Any]) -> bytes:
    """Gives the domain's property list, as Jamf and others take it."""
    return plistlib.dumps(content, sort_keys=False)


def profile(content: dict[str, Any], organization: str, team: str = "") -> bytes:
    """Gives an unsigned profile for the whole machine. Its identifiers stay the same, so that a new one takes the place of the old one."""
    identifier = f"{_IDENTIFIER}.{team}" if team else _IDENTIFIER
    title = f"Claude Code: hooks of Hookgate{f' ({team})' if team else ''}"
    preferences = {
        "PayloadType": _PREFERENCES,
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{identifier}.preferences",
        "PayloadUUID": _uuid(f"{identifier}.preferences"),
        "PayloadDisplayName": title,
        "PayloadEnabled": True,
        "PayloadContent": {DOMAIN: {"Forced": [{"mcx_preference_settings": content}]}},
    }
    return plistlib.dumps(
        {
            "PayloadType": "Configuration",
            "PayloadVersion": 1,
            "PayloadIdentifier": identifier,
            "PayloadUUID": _uuid(identifier),
            "PayloadDisplayName": title,
            "PayloadDescription": "Asks Hookgate about what Claude Code is going to do.",
            "PayloadOrganization": organization,
            "PayloadScope": "System",
            "PayloadRemovalDisallowed": True,
            "PayloadContent": [preferences],
        },
        sort_keys=False,
    )


def parse(raw: bytes) -> Any:
    """Reads the settings back from either. Raises ValueError."""
    try:
        found = plistlib.loads(raw)
    except (plistlib.InvalidFileException, ExpatError, ValueError, AttributeError, OverflowError):
        raise ValueError("no property list (a signed profile has to be unpacked first)") from None
    if not isinstance(found, dict) or found.get("PayloadType") != "Configuration":
        return found
    for payload in found.get("PayloadContent", ()):
        if payload.get("PayloadType") == DOMAIN:
            return {key: value for key, value in payload.items() if not key.startswith("Payload")}
        try:
            return payload["PayloadContent"][DOMAIN]["Forced"][0]["mcx_preference_settings"]
        except (KeyError, IndexError, TypeError):
            continue
    raise ValueError(f"the profile has nothing for {DOMAIN}")


def _uuid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name)).upper()
