"""What a command hook runs: the payload from standard input, the answer to standard output, an exit code that the client obeys."""

import json
import os
import signal
import sys
from typing import IO

from hookgate.client.bridge.config import DEFAULT_PATH, BridgeError, load
from hookgate.client.bridge.posting import answer_to

#: The client takes standard error for the reason, and does not go on where it can be stopped.
BLOCKED = 2
#: The client tells of an error and goes on.
TOLD = 1
#: Here "blocked" would mean that the agent has to go on working, for ever while nobody answers.
_GOES_ON = ("Stop", "SubagentStop", "TaskCompleted", "TeammateIdle")
_MAX_PAYLOAD_BYTES = 32 * 1024 * 1024


def main(arguments: list[str], payload: IO[bytes] | None = None, owner: int = 0) -> int:
    """Asks, and gives the exit code. `arguments`: none, or `--config` and the configuration's absolute path."""
    # The agent may have chosen it: OPENSSL_CONF loads code, HOSTALIASES and SSL_CERT_FILE lead elsewhere.
    os.environ.clear()
    event = ""
    try:
        config = load(_path(arguments), owner)
        signal.signal(signal.SIGALRM, _late)
        signal.setitimer(signal.ITIMER_REAL, config.timeout_seconds)
        try:
            body = (payload or sys.stdin.buffer).read(_MAX_PAYLOAD_BYTES + 1)
            event = _event(body)
            if len(body) > _MAX_PAYLOAD_BYTES:
                raise BridgeError("the payload is too large")
            answer = answer_to(config, body, event)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except BridgeError as error:
        return _end(event, str(error))
    except TimeoutError:
        return _end(event, "no answer: not in time")
    except Exception as error:  # noqa: BLE001 (any other exit code than 2 would let the call run)
        return _end(event, f"failed: {type(error).__name__}")
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    return 0


def _end(event: str, why: str) -> int:
    if event in _GOES_ON:
        sys.stderr.write(f"[hookgate hook] {why}. This is not on record with Hookgate.\n")
        return TOLD
    sys.stderr.write(f"[hookgate hook] {why}. Blocked, because Hookgate could not be asked.\n")
    return BLOCKED


def _path(arguments: list[str]) -> str:
    if not arguments:
        return DEFAULT_PATH
    if arguments[0].startswith("--config="):
        arguments = ["--config", arguments[0].partition("=")[2], *arguments[1:]]
    if len(arguments) != 2 or arguments[0] != "--config":
        raise BridgeError("expected --config FILE and nothing else")
    return arguments[1]


def _event(body: bytes) -> str:
    try:
        name = json.loads(body)["hook_event_name"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return name if isinstance(name, str) else ""


def _late(*_: object) -> None:
    raise TimeoutError
