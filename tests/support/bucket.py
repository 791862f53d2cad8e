"""A bucket that speaks as much of S3 as a PDP asks: the list of what lies under a prefix, and each object."""

import hashlib
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.sax.saxutils import escape


class Bucket:
    """Serves a directory as the bucket `policies` on loopback, to whoever asks."""

    def __init__(self, directory: Path) -> None:
        self.asked: list[str] = []
        self._directory = directory
        bucket = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urllib.parse.urlsplit(self.path)
                bucket.asked.append(url.path)
                name = urllib.parse.unquote(url.path).strip("/").partition("/")[2]
                file = directory / name
                if name and not file.is_file():
                    self.send_error(404)
                    return
                body = file.read_bytes() if name else bucket.listing(urllib.parse.parse_qs(url.query))
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("ETag", f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"')
                self.send_header("Last-Modified", "Sun, 22 Nov 2026 00:00:00 GMT")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """As the blob driver takes it."""
        endpoint = urllib.parse.quote(f"http://127.0.0.1:{self._server.server_port}", safe="")
        return f"s3://policies?region=eu-central-1&endpoint={endpoint}&use_path_style=true"

    def listing(self, query: dict[str, list[str]]) -> bytes:
        """Gives the XML of ListObjectsV2."""
        prefix = query.get("prefix", [""])[0]
        lines = []
        for file in sorted(path for path in self._directory.rglob("*") if path.is_file()):
            key, body = str(file.relative_to(self._directory)), file.read_bytes()
            if key.startswith(prefix):
                digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
                lines.append(
                    f"<Contents><Key>{escape(key)}</Key><ETag>&quot;{digest}&quot;</ETag><Size>{len(body)}</Size>"
                    "<LastModified>2026-11-22T00:00:00.000Z</LastModified></Contents>"
                )
        head = f"<Name>policies</Name><IsTruncated>false</IsTruncated><KeyCount>{len(lines)}</KeyCount>"
        return (
            '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"{head}{''.join(lines)}</ListBucketResult>"
        ).encode()

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
