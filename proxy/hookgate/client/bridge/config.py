"""The bridge's configuration: a JSON file that nobody but root can write, for the agent runs as the same user as the bridge."""

import json
import os
import pwd
import stat
from typing import Any, NamedTuple

DEFAULT_PATH = "/etc/hookgate/hook.json"
_MAX_FILE_BYTES = 1024 * 1024
_MAX_TOKEN_BYTES = 64 * 1024
_MAX_SECONDS = 600


class BridgeError(Exception):
    """The bridge can't ask; the message says why, and holds no credential."""


class BridgeConfig(NamedTuple):
    """Whom the bridge asks, and how. Paths are absolute; empty means none."""

    url: str
    headers: dict[str, str]
    token_file: str
    ca_file: str
    client_certificate: str
    client_key: str
    #: For all of it, from reading the payload to the answer's last byte.
    timeout_seconds: float


def load(path: str, owner: int = 0) -> BridgeConfig:
    """Reads the file. Raises BridgeError: it is missing, others than `owner` (a user's number) and root can write it, or it is not as it should be."""
    if not os.path.isabs(path):
        raise BridgeError(f"{path}: give the configuration's absolute path")
    try:
        if exposed := exposure(path, owner):
            raise BridgeError(
                f"{exposed}: others than root can write it; give it to root and take their right to write away"
            )
        with open(path, "rb") as stream:
            tree = json.loads(stream.read(_MAX_FILE_BYTES))
    except OSError as error:
        raise BridgeError(f"{path}: {error.strerror or type(error).__name__}") from None
    except (ValueError, RecursionError):
        raise BridgeError(f"{path}: no JSON") from None
    return _config(tree, path)


def exposure(path: str, owner: int = 0) -> str:
    """Gives the file or directory through which another user could change what stands at a path; empty if there is none.

    In a directory with the sticky bit only an entry's owner can exchange it.
    """
    here = os.path.realpath(path)
    while True:
        found = os.stat(here)
        writable = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if found.st_uid not in (0, owner) or (
            writable and not (stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX)
        ):
            return here
        parent = os.path.dirname(here)
        if parent == here:
            return ""
        here = parent


def token(config: BridgeConfig) -> str:
    """Reads the token file, as it is now; empty where none is configured. Raises BridgeError."""
    if not config.token_file:
        return ""
    path = config.token_file
    if path.startswith("~/"):
        # Not by $HOME, which the agent can set.
        path = os.path.join(pwd.getpwuid(os.getuid()).pw_dir, path[2:])
    try:
        with open(path, "rb") as stream:
            if stat.S_IMODE(os.fstat(stream.fileno()).st_mode) & 0o077:
                raise BridgeError(f"{path}: others can read the token; set its mode to 0600")
            text = stream.read(_MAX_TOKEN_BYTES).decode("ascii").strip()
    except OSError as error:
        raise BridgeError(f"{path}: {error.strerror or type(error).__name__}") from None
    except UnicodeDecodeError:
        raise BridgeError(f"{path}: holds no token") from None
    if not text or not text.isprintable() or " " in text:
        raise BridgeError(f"{path}: holds no token")
    return text


def _config(tree: Any, path: str) -> BridgeConfig:
    if not isinstance(tree, dict):
        raise BridgeError(f"{path}: expected a JSON object")
    unknown = sorted(tree.keys() - set(BridgeConfig._fields))
    if unknown:
        raise BridgeError(f"{path}: {unknown[0]}: unknown key")
    headers = tree.get("headers", {})
    if not isinstance(headers, dict) or not all(isinstance(one, str) for one in headers.values()):
        raise BridgeError(f"{path}: headers: expected an object of texts")
    timeout = tree.get("timeout_seconds", 8)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= _MAX_SECONDS:
        raise BridgeError(f"{path}: timeout_seconds: expected a number above 0, and at most {_MAX_SECONDS}")
    texts = {name: tree.get(name, "") for name in ("url", "token_file", "ca_file", "client_certificate", "client_key")}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise BridgeError(f"{path}: {name}: expected a text")
        if (
            value
            and name != "url"
            and not os.path.isabs(value)
            and not (name == "token_file" and value.startswith("~/"))
        ):
            raise BridgeError(f"{path}: {name}: expected an absolute path")
    if not texts["url"].startswith(("http://", "https://")):
        raise BridgeError(f"{path}: url: expected an address that begins with http:// or https://")
    return BridgeConfig(
        headers={name: _filled(value) for name, value in headers.items()}, timeout_seconds=timeout, **texts
    )


def _filled(value: str) -> str:
    """Puts the account's name for ${USER}: the environment's could be anybody's."""
    if "${USER}" not in value:
        return value
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return value.replace("${USER}", name)
