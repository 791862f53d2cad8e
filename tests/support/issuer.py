"""An identity provider: keys, tokens that it signs, and the address where its keys are."""

import base64
import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

ISSUER = "https://login.example.com/"
AUDIENCE = "hookgate"


class Key:
    """A signing key and its id."""

    def __init__(self, kid: str | None = "k1", algorithm: str = "ES256") -> None:
        self.kid, self.algorithm = kid, algorithm
        self.private: Any
        if algorithm.startswith("ES"):
            self.private = ECKey.generate_key("P-256", {"kid": kid} if kid else None)
        elif algorithm.startswith("Ed"):
            self.private = OKPKey.generate_key("Ed25519", {"kid": kid} if kid else None)
        else:
            self.private = RSAKey.generate_key(2048, {"kid": kid} if kid else None)

    @property
    def public(self) -> dict[str, Any]:
        found: dict[str, Any] = self.private.as_dict(private=False)
        return found

    def sign(self, claims: dict[str, Any] | bytes, header: dict[str, Any] | None = None) -> str:
        """Gives a token; `header` is laid over the usual one, whatever it then says, and a field of None left out."""
        fields = {"alg": self.algorithm, "kid": self.kid, "typ": "JWT", **(header or {})}
        fields = {name: value for name, value in fields.items() if value is not None}
        algorithm = "Ed25519" if self.algorithm == "EdDSA" else self.algorithm
        registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
        payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        signed = f"{encoded(json.dumps(fields).encode())}.{encoded(payload)}"
        signature = registry.algorithms[algorithm].sign(signed.encode(), self.private)
        return f"{signed}.{encoded(signature)}"


def encoded(raw: bytes) -> str:
    """Gives Base64 for addresses, without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(**changes: Any) -> dict[str, Any]:
    """Gives the claims of a good token; one that is set to None is left out."""
    now = int(time.time())
    found = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alex", "exp": now + 600, "iat": now, "groups": ["eng"], **changes}
    return {name: value for name, value in found.items() if value is not None}


def hs256(header: dict[str, Any], body: dict[str, Any], secret: bytes) -> str:
    """Gives a token whose signature is made with a shared secret."""
    signed = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(body).encode())}"
    return f"{signed}.{encoded(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


class JwksServer:
    """Serves the keys that it is given; `fault` makes it answer with that status. Counts how often it is asked."""

    def __init__(self, *keys: Key) -> None:
        self.keys = list(keys)
        self.fault = 0
        self.asked: list[str] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.asked.append(self.headers.get("Authorization", ""))
                body = json.dumps({"keys": [key.public for key in owner.keys]}).encode()
                self.send_response(owner.fault or 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/jwks"

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
