"""Which settings have changed since the last start: their paths, never their values.

What the last start had is kept beside the journal as keyed digests, one a setting: a password in a URL is none to be guessed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from hookgate.audit.digest import Digests, Purpose
from hookgate.audit.draft import write_whole

FILE_NAME = "settings.json"
#: Paths that are told; of further ones only how many there are.
_MAX_PATHS = 200


class Settings(msgspec.Struct, frozen=True):
    """A start's settings: the digest of each by its path, and of all together. Empty digests stand for what is not known."""

    digest: str = ""
    settings: dict[str, str] = {}

    def keep(self, directory: Path) -> None:
        """Keeps them for the next start. Raises OSError."""
        write_whole(directory / FILE_NAME, msgspec.json.encode(self))


def settings_of(config: msgspec.Struct, digests: Digests) -> Settings:
    """Gives those of a configuration."""
    leaves = {path: digests.of_json(Purpose.SETTING, value) for path, value in _leaves(msgspec.to_builtins(config), "")}
    return Settings(digests.of_json(Purpose.SETTING, leaves), leaves)


def kept(directory: Path) -> Settings | None:
    """Gives those of the last start; None where there was none, empty ones where they can't be read."""
    try:
        return msgspec.json.decode((directory / FILE_NAME).read_bytes(), type=Settings)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return Settings()


def changed(before: Settings, now: Settings) -> list[str]:
    """Gives the paths of settings that are not what they were; none where that is not known."""
    if not before.digest:
        return []
    paths = {*before.settings, *now.settings}
    found = sorted(path for path in paths if before.settings.get(path) != now.settings.get(path))
    more = len(found) - _MAX_PATHS
    return found if more <= 0 else [*found[:_MAX_PATHS], f"and {more} more"]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and value:
        for at, item in enumerate(value):
            yield from _leaves(item, f"{path}[{at}]")
    else:
        yield path, value
