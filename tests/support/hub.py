"""Stands in for Cerbos Hub as far as a PDP that sends its decision log there can tell: it gives a token, and takes what is sent.

The protocol is Connect with protobuf bodies (connectrpc.com/docs/protocol), as Cerbos 0.55.0 was seen to speak it.
"""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: IssueAccessTokenResponse: access_token = 1, expires_in = 2 (an hour). IngestResponse: success = 1.
_TOKEN, _TAKEN = b"\n\x05token\x12\x03\x08\x90\x1c", b"\n\x00"


class Hub:
    """Listens on loopback. `taken` is what was sent to it, without its compression."""

    def __init__(self) -> None:
        self.taken = b""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                answer = _TOKEN if self.path.endswith("/IssueAccessToken") else _TAKEN
                if self.path.endswith("/Ingest"):
                    hub.taken += body
                self.send_response(200)
                self.send_header("Content-Type", "application/proto")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """As `hub.connection.apiEndpoint` takes it."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
