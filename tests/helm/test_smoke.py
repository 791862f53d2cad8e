"""`helm test` under TLS, and with a token: its own program, against a listener with the certificate that an administrator would have."""

import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from tests.helm.chart import Chart

PUBLIC = "hooks.example.com"
CHANGES: dict[str, object] = {
    "tls.existingSecret": "hooks-tls",
    "hosts": [PUBLIC],
    "helmTest.token.existingSecret": "helm-test",
}
SERVICE = "hookgate.agents.svc"
DENY: dict[str, object] = {"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "deny"}}


@dataclass
class Listener:
    """Denies what it should, and keeps who came with what."""

    authority: trustme.CA = field(default_factory=trustme.CA)
    seen: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, body: bytes) -> dict[str, object]:
        """What Hookgate would say."""
        try:
            return DENY if json.loads(body)["tool_name"] == "Read" else {}
        except ValueError:
            return DENY

    def serve(self, name: str) -> ThreadingHTTPServer:
        """Starts it with a certificate of this name."""
        own = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                said = json.dumps(own.answer(self.rfile.read(int(self.headers["content-length"])))).encode()
                own.seen.append((self.headers["host"], self.headers["authorization"]))
                self.send_response(200)
                self.send_header("content-length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_: object) -> None:
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name).configure_cert(context)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server


@pytest.fixture(scope="module")
def listener() -> Listener:
    """One authority for all."""
    return Listener()


@pytest.fixture(params=[SERVICE, PUBLIC, "elsewhere.example.com"])
def served(request: pytest.FixtureRequest, listener: Listener) -> Iterator[tuple[str, int]]:
    """A listener with a certificate of each name, and its port."""
    listener.seen.clear()
    server = listener.serve(request.param)
    yield request.param, server.server_address[1]
    server.shutdown()
    server.server_close()


def run(chart: Chart, port: int, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Runs the pod's program with its variables but for the address."""
    (test,) = chart.rendered(changes=CHANGES).tests
    (one,) = test["spec"]["containers"]
    found = {variable["name"]: variable["value"] for variable in one["env"] if "value" in variable}
    assert found["HOOK_URL"] == f"https://{SERVICE}:3594/ext/claude"
    found |= {"HOOK_URL": f"https://127.0.0.1:{port}/ext/claude", "HOOK_TOKEN": "token\n", **variables}
    return subprocess.run(
        [sys.executable, *one["command"][1:], *one["args"]], env=found, capture_output=True, text=True, check=False
    )


def test_a_certificate_for_the_service_or_for_a_name_of_the_clients_is_right_and_no_other(
    chart: Chart, served: tuple[str, int], listener: Listener, tmp_path: Path
) -> None:
    name, port = served
    authority = tmp_path / "ca.crt"
    listener.authority.cert_pem.write_to_path(str(authority))
    done = run(chart, port, HOOK_CA=str(authority))
    if name in (SERVICE, PUBLIC):
        assert done.returncode == 0, done.stdout + done.stderr
        assert {token for _, token in listener.seen} == {"Bearer token"}
    else:
        assert done.returncode == 1
        assert listener.seen == []
    # A certificate that a public authority signed comes without a ca.crt: then the system's count, and not this one.
    done = run(chart, port, HOOK_CA=str(tmp_path / "missing.crt"))
    assert (done.returncode, done.stdout.count("CERTIFICATE_VERIFY_FAILED")) == (1, 3)


def test_the_pod_starts_without_an_authority_of_its_own_and_with_a_token_from_a_secret(chart: Chart) -> None:
    (test,) = chart.rendered(changes=CHANGES).tests
    (volume,) = test["spec"]["volumes"]
    assert volume["secret"]["optional"] is True
    assert [item["key"] for item in volume["secret"]["items"]] == ["ca.crt"]
    (token,) = [one for one in test["spec"]["containers"][0]["env"] if one["name"] == "HOOK_TOKEN"]
    assert token["valueFrom"]["secretKeyRef"] == {"name": "helm-test", "key": "token"}
