"""A small OpenID provider: it lets everybody in who comes, once, and can be told to say something false."""

import base64
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.support.issuer import Key

CLIENT, SECRET = "hookgate-console", "client-secret-never-told"


class OpenId:
    """One provider. `person` is who logs in, with their groups; `lie` changes what the ID token claims."""

    def __init__(self) -> None:
        self.key = Key()
        self.person: dict[str, Any] = {"sub": "rosa", "groups": ["security"]}
        self.lie: dict[str, Any] = {}
        self.answers: list[dict[str, str]] = []
        self._codes: dict[str, dict[str, str]] = {}
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                if parts.path == "/.well-known/openid-configuration":
                    self.answer(200, owner.description())
                elif parts.path == "/jwks":
                    self.answer(200, {"keys": [owner.key.public]})
                elif parts.path == "/authorize":
                    self.send_response(302)
                    self.send_header("Location", owner.authorized(query))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                else:
                    self.answer(404, {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                found = owner.tokens(form, self.headers.get("Authorization", ""))
                self.answer(200 if found else 400, found or {"error": "invalid_grant"})

            def answer(self, status: int, found: dict[str, Any]) -> None:
                body = json.dumps(found).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"

    def description(self) -> dict[str, Any]:
        """What it says of itself."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }

    def authorized(self, query: dict[str, str]) -> str:
        """Gives the address that a browser is sent back to."""
        self.answers.append(query)
        code = f"code-{len(self.answers)}"
        self._codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state'], 'iss': self.issuer})}"

    def tokens(self, form: dict[str, str], login: str) -> dict[str, Any] | None:
        """Gives the tokens for a code, to the client that proves to be the one that asked for it."""
        asked = self._codes.pop(form.get("code", ""), None)
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        proved = base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()
        expected = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if asked is None or asked.get("code_challenge_method") != "S256" or asked["code_challenge"] != proved:
            return None
        if login != expected or form.get("redirect_uri") != asked["redirect_uri"]:
            return None
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": asked["nonce"],
            **self.person,
            **self.lie,
        }
        return {"access_token": "none", "token_type": "Bearer", "id_token": self.key.sign(claims)}

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
