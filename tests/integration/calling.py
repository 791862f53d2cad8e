"""Clients that keep their connections, as the real one does."""

import http.client
import json
import select
import threading
import uuid
from dataclasses import dataclass, field
from typing import Any, Self

from tests.conftest import payload


class Connection:
    """One kept connection."""

    def __init__(self, port: int, *, timeout: float = 30) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        self._http.connect()
        # http.client would silently open another where the server has closed this one.
        self._http.auto_open = 0

    @property
    def is_closed(self) -> bool:
        """Whether the server has closed it."""
        sock = self._http.sock
        return sock is None or bool(select.select([sock], [], [], 0)[0])

    def send(self, session: str = "", **changes: Any) -> None:
        """Sends a hook."""
        body = json.dumps(payload("PreToolUse.Bash", session_id=session, **changes))
        self._http.request("POST", "/ext/claude", body, {"Content-Type": "application/json"})

    def receive(self) -> tuple[dict[str, Any], bool]:
        """Gives the answer to what was sent, and whether it is the connection's last."""
        with self._http.getresponse() as response:
            answer: dict[str, Any] = json.loads(response.read())
            assert response.status == 200
            return answer, response.getheader("Connection", "").lower() == "close"

    def close(self) -> None:
        """Closes it."""
        self._http.close()


@dataclass
class Stream:
    """Calls without a pause, from several connections at once, until told to stop."""

    port: int
    connections: int = 4
    #: The sessions that were answered, and what went wrong with the others.
    answered: list[str] = field(default_factory=list)
    failed: dict[str, Exception] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(self.connections)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        connection: Connection | None = None
        while not self._stop.is_set():
            session = str(uuid.uuid4())
            try:
                # Opened again once the server has closed it, as a pool of connections does.
                if connection is None or connection.is_closed:
                    connection = self._another(connection)
                connection.send(session)
                _, is_last = connection.receive()
            except (OSError, http.client.HTTPException) as error:
                self.failed[session] = error
                connection = self._closed(connection)
                # Nobody is there any more: trying without a pause would only take the processor from others.
                self._stop.wait(0.05)
            else:
                self.answered.append(session)
                if is_last:
                    connection = self._closed(connection)
        self._closed(connection)

    def _another(self, connection: Connection | None) -> Connection:
        self._closed(connection)
        return Connection(self.port)

    @staticmethod
    def _closed(connection: Connection | None) -> None:
        if connection is not None:
            connection.close()
