"""What a command hook runs: the payload from standard input, the answer to standard output, an exit code that the client obeys."""

import _thread
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import IO, NoReturn

from hookgate.client.bridge.config import DEFAULT_PATH, BridgeError, load
from hookgate.client.bridge.posting import answer_to

#: The client takes standard error for the reason, and does not go on where it can be stopped.
BLOCKED = 2
#: The client tells of an error and goes on.
TOLD = 1
#: Here "blocked" would mean that the agent has to go on working, for ever while nobody answers.
_GOES_ON = ("Stop", "SubagentStop", "TaskCompleted", "TeammateIdle")
_MAX_PAYLOAD_BYTES = 32 * 1024 * 1024
#: What ends a process unless it is handled: with a code that lets the call run. The agent runs as the same user, and can send them.
_SIGNALS = (
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGXCPU,
    signal.SIGVTALRM,
    signal.SIGPROF,
)
_BREATH_SECONDS = 0.1


class Hook:
    """One hook on its way: what is asked, and how it ends."""

    def __init__(
        self,
        arguments: list[str],
        payload: IO[bytes] | None = None,
        owner: int = 0,
        limit: Callable[[float], object] | None = None,
    ) -> None:
        """`arguments`: none, or `--config` and the configuration's absolute path. `limit` is told how many seconds all of it may take."""
        self._arguments = arguments
        self._payload = payload
        self._owner = owner
        self._limit = limit
        self._event = ""

    def ask(self) -> int:
        """Asks, writes the answer, and gives the exit code."""
        try:
            config = load(_path(self._arguments), self._owner)
            if self._limit:
                self._limit(config.timeout_seconds)
            body = self._read()
            self._event = _event(body)
            if len(body) > _MAX_PAYLOAD_BYTES:
                raise BridgeError("the payload is too large")
            answer = answer_to(config, body, self._event)
            if not sys.stdout:
                raise BridgeError("standard output is closed")
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
        except BridgeError as error:
            return self.end(str(error))
        except BaseException as error:  # noqa: BLE001 (any other exit code than 2 would let the call run)
            return self.end(f"failed: {type(error).__name__}")
        return 0

    def end(self, why: str) -> int:
        """Writes why there is no answer, and gives the exit code."""
        goes_on = self._event in _GOES_ON
        so = "This is not on record with Hookgate." if goes_on else "Blocked, because Hookgate could not be asked."
        say(f"{why}. {so}")
        return TOLD if goes_on else BLOCKED

    def _read(self) -> bytes:
        if self._payload:
            return self._payload.read(_MAX_PAYLOAD_BYTES + 1)
        if not sys.stdin:
            raise BridgeError("standard input is closed")
        return sys.stdin.buffer.read(_MAX_PAYLOAD_BYTES + 1)


def say(what: str) -> None:
    """Writes to standard error, past what Python keeps back; where nobody takes it, the exit code has to do."""
    with contextlib.suppress(OSError):
        os.write(2, f"[hookgate hook] {what}\n".encode())


def main(arguments: list[str]) -> NoReturn:
    """Asks, and ends with the exit code, in time and whatever signal comes but those that nobody can handle.

    The asking is another thread's: while the system looks a name up, a signal waits until it is done with it.
    """
    # The agent may have chosen it: OPENSSL_CONF loads code, HOSTALIASES and SSL_CERT_FILE lead elsewhere.
    os.environ.clear()
    hook = Hook(arguments, limit=lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds))

    def give_up(number: int, _: object) -> None:
        os._exit(hook.end("no answer: not in time" if number == signal.SIGALRM else f"ended by signal {number}"))

    for number in (signal.SIGALRM, *_SIGNALS):
        signal.signal(number, give_up)
    # Python's own way out could fail to write what is written already, and wait for the other thread.
    _thread.start_new_thread(lambda: os._exit(hook.ask()), ())
    while True:
        time.sleep(_BREATH_SECONDS)


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
