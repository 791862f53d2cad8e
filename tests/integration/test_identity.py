"""Who asks, at the running service: verified users are told apart, forged ones are denied, each with an answer and a record."""

import contextlib
import datetime as dt
import http.client
import json
import socket
import ssl
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.conftest import payload
from tests.integration.running import COMMAND, environment
from tests.integration.stand_in import StandInPdp
from tests.support.issuer import AUDIENCE, ISSUER, Key, claims
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess
from tests.support.wait import until

Make = Callable[..., ServiceProcess]
DEFAULT = [{"type": "headers"}, {"type": "default"}]

#: A hook sent by another user of the machine, who can read no file of Python's: all is loaded before.
_AS_ANOTHER = """
import os, socket, sys
uid, port, request = int(sys.argv[1]), int(sys.argv[2]), sys.stdin.buffer.read()
os.setgroups([]); os.setgid(uid); os.setuid(uid)
with socket.socket() as connection:
    connection.connect(("127.0.0.1", port))
    connection.sendall(request)
    answer = b""
    while part := connection.recv(65536):
        answer += part
sys.stdout.buffer.write(answer)
"""


def raw_hook(session: str, *fields: str) -> bytes:
    """Gives a request that is the last of its connection."""
    body = json.dumps(payload("PreToolUse.Bash", session_id=session)).encode()
    lines = ["POST /ext/claude HTTP/1.1", "Host: 127.0.0.1", "Connection: close", "Content-Type: application/json"]
    return "\r\n".join([*lines, *fields, f"Content-Length: {len(body)}", "", ""]).encode() + body


def record_of(service: ServiceProcess, session: str) -> dict[str, Any]:
    """Gives the one record of a session."""
    (found,) = [record for record in service.records() if record["session_id"] == session]
    return found


def denied_for(answer: dict[str, Any], kind: str) -> bool:
    """Whether a call is denied by this error."""
    told = answer["hookSpecificOutput"]
    return told["permissionDecision"] == "deny" and kind in told["permissionDecisionReason"]


def as_user(uid: int, port: int, session: str, *fields: str) -> dict[str, Any]:
    """Sends a hook as another user of this machine; gives the answer."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", _AS_ANOTHER, str(uid), str(port)],
        input=raw_hook(session, *fields),
        capture_output=True,
        timeout=30,
        check=True,
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert b" 200 " in head.split(b"\r\n")[0]
    found: dict[str, Any] = json.loads(body)
    return found


class TestPeer:
    def test_two_users_of_the_machine_are_told_apart_and_headers_name_neither(
        self, make_service: Make, stand_in: StandInPdp
    ) -> None:
        # Only root can be somebody else.
        users = {"61001": "alex", "61002": "sam"}
        sources = [{"type": "peer", "users": users, "mapped_only": True, "roles": {"static": ["laptop"]}}, *DEFAULT]
        service = make_service(stand_in.address, {"identity": {"sources": sources, "require_verified": True}})
        for uid, user in users.items():
            session = str(uuid.uuid4())
            assert as_user(int(uid), service.port, session, "X-Claude-User: root", "X-Claude-User-Roles: admin") == {}
            record = record_of(service, session)
            assert (record["user"], record["roles"], record["source"]) == (user, ["laptop"], "peer")
            assert (record["verified"], record["peer"], record["claimed_user"]) == (True, uid, "root")
            assert stand_in.requests[-1].principal.id == user
        session = str(uuid.uuid4())
        assert denied_for(as_user(61003, service.port, session, "X-Claude-User: alex"), "identity_invalid")
        record = record_of(service, session)
        assert (record["user"], record["peer"], record["error"]) == ("", "61003", "identity_invalid")
        assert service.metric("hookgate_identities_total", source="peer") == 2
        assert service.metric("hookgate_identity_contradictions_total") == 2

    def test_who_stops_listening_to_hide_is_refused(self, make_service: Make, stand_in: StandInPdp) -> None:
        service = make_service(stand_in.address, {"identity": {"sources": [{"type": "peer"}, *DEFAULT]}})
        session = str(uuid.uuid4())
        with socket.create_connection(("127.0.0.1", service.port)) as connection:
            # The kernel counts a socket that nobody holds as root's.
            connection.sendall(raw_hook(session, "X-Claude-User: alex"))
        until(lambda: any(record["session_id"] == session for record in service.records()), what="its record")
        record = record_of(service, session)
        assert record["error"] == "identity_invalid" or record["source"] == "peer"


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Key, str]:
    """An issuer's key, and the file where it is published."""
    key = Key()
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [key.public]}))
    return key, str(file)


class TestBearer:
    def test_verified_users_ask_and_nobody_else_does(
        self, make_service: Make, stand_in: StandInPdp, keys: tuple[Key, str], tmp_path: Path
    ) -> None:
        key, file = keys
        tokens = tmp_path / "tokens.json"
        create = ["token", "create", "--file", str(tokens), "--user", "ci", "--role", "builder", "--expires", "1h"]
        static = subprocess.run(
            [*COMMAND, *create], env=environment(), capture_output=True, text=True, check=True, timeout=60
        ).stdout.strip()
        issuer = {
            "issuer": ISSUER,
            "audiences": [AUDIENCE],
            "jwks_file": file,
            "groups_claim": "groups",
            "claims": ["email"],
            "roles": {"map": {"eng": ["engineer"]}},
        }
        sources = [{"type": "token", "file": str(tokens)}, {"type": "jwt", "issuers": [issuer]}, *DEFAULT]
        service = make_service(
            stand_in.address,
            {"identity": {"sources": sources, "require_verified": True}, "on_error": "pass", "log": {"level": "debug"}},
        )

        def ask(token: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
            session = str(uuid.uuid4())
            fields = {"X-Claude-User": "root", "X-Claude-User-Roles": "admin"}
            if token is not None:
                fields["Authorization"] = token
            body = payload("PreToolUse.Bash", session_id=session, user="root", roles=["admin"])
            return service.post(body, fields), record_of(service, session)

        good = key.sign(claims(email="alex@example.com"))
        answer, record = ask(f"Bearer {good}")
        assert answer == {}
        assert (record["user"], record["roles"], record["source"], record["verified"]) == (
            "alex",
            ["engineer"],
            "jwt",
            True,
        )
        assert record["attributes"] == {"groups": ["eng"], "claims": {"email": "alex@example.com"}}
        answer, record = ask(f"Bearer {static}")
        assert answer == {}
        assert (record["user"], record["roles"], record["source"]) == ("ci", ["builder"], "token")
        forged = Key().sign(claims())
        bad = [forged, static + "x", key.sign(claims(exp=1)), key.sign(claims(aud="other")), "x", "y" * 30_000]
        for token in bad:
            answer, record = ask(f"Bearer {token}")
            assert denied_for(answer, "identity_invalid")
            assert (record["user"], record["error"], record["verified"]) == ("", "identity_invalid", False)
        for token_or_none in (None, "", "Bearer "):
            answer, record = ask(token_or_none)
            assert denied_for(answer, "identity_required")
            assert "allowedEnvVars" in answer["hookSpecificOutput"]["permissionDecisionReason"]
            assert (record["user"], record["error"]) == ("root", "identity_required")
        assert len([one for one in stand_in.requests if one.resources[0].resource.kind == "PreToolUse"]) == 2
        until(lambda: service.log_events("identity_header_empty"), what="the log event")
        emitted = (
            service.log() + json.dumps(service.records(None)) + service.get("/metrics")[1] + service.get("/readyz")[1]
        )
        for secret in (good, static, forged, good.split(".")[1], static.split("_", 2)[2]):
            assert secret not in emitted


#: Decides by a claim of the token that Cerbos itself has verified.
_BY_CLAIM = """\
apiVersion: api.cerbos.dev/v1
resourcePolicy:
  resource: PreToolUse
  version: default
  rules:
    - actions: ["*"]
      effect: EFFECT_ALLOW
      roles: ["*"]
      condition:
        match:
          expr: request.aux_data.jwt.email == "alex@example.com"
"""


def test_cerbos_is_handed_the_token_and_verifies_it_itself(
    make_service: Make, make_pdp: Callable[..., Pdp], keys: tuple[Key, str], tmp_path: Path
) -> None:
    key, file = keys
    # Cerbos demands what most issuers tell and the RFC does not.
    Path(file).write_text(json.dumps({"keys": [{**key.public, "alg": key.algorithm}]}))
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "policy.yaml").write_text(_BY_CLAIM)
    pdp = make_pdp(tmp_path / "policies", key_sets={"idp": file})
    issuer = {"issuer": ISSUER, "audiences": [AUDIENCE], "jwks_file": file, "send_to_pdp": True, "key_set": "idp"}
    service = make_service(pdp.address, {"identity": {"sources": [{"type": "jwt", "issuers": [issuer]}, *DEFAULT]}})
    for email, permitted in (("alex@example.com", True), ("sam@example.com", False)):
        token = key.sign(claims(email=email))
        answer = service.post(payload("PreToolUse.Bash"), {"Authorization": f"Bearer {token}"})
        assert (answer == {}) is permitted
        assert service.records()[-1]["outcome"] == ("allow" if permitted else "deny")
        assert token not in service.log()


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def write(place: Path, name: str, certificate: trustme.LeafCert) -> tuple[str, str]:
    """Writes a certificate and its key; gives the files."""
    chain, key = place / f"{name}.pem", place / f"{name}.key"
    chain.write_bytes(b"".join(part.bytes() for part in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    return str(chain), str(key)


def crl(authority: trustme.CA, *revoked: str, days: int = 30) -> bytes:
    """Gives a revocation list of these certificates (files)."""
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    made = x509.CertificateRevocationListBuilder(issuer.subject, now - dt.timedelta(days=60))
    made = made.next_update(now + dt.timedelta(days=days))
    for file in revoked:
        serial = x509.load_pem_x509_certificate(Path(file).read_bytes()).serial_number
        entry = x509.RevokedCertificateBuilder(serial, now - dt.timedelta(days=1)).build()
        made = made.add_revoked_certificate(entry)
    key: Any = load_pem_private_key(authority.private_key_pem.bytes(), None)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class Tls:
    """A service with TLS, and clients of it."""

    def __init__(self, place: Path, authority: trustme.CA) -> None:
        self.place, self.authority = place, authority
        self.ca = place / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca))
        self.certificate, self.key = write(place, "server", authority.issue_cert("127.0.0.1"))

    def settings(self, *sources: dict[str, Any], **tls: Any) -> dict[str, Any]:
        files = {"certificate": self.certificate, "key": self.key, **tls}
        return {"server": {"tls": files}, "identity": {"sources": [*sources, *DEFAULT]}}

    def client(self, files: tuple[str, str] | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca))
        if files:
            context.load_cert_chain(*files)
        return context

    def connect(self, service: ServiceProcess, files: tuple[str, str] | None = None) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection("127.0.0.1", service.port, timeout=20, context=self.client(files))
        connection.connect()
        return connection


def ask(connection: http.client.HTTPSConnection, **fields: str) -> tuple[dict[str, Any], str]:
    """Sends a hook; gives the answer and the session."""
    session = str(uuid.uuid4())
    body = json.dumps(payload("PreToolUse.Bash", session_id=session))
    connection.request("POST", "/ext/claude", body, {"Content-Type": "application/json", **fields})
    with connection.getresponse() as response:
        assert response.status == 200
        found: dict[str, Any] = json.loads(response.read())
        return found, session


@pytest.fixture
def tls(tmp_path: Path, authority: trustme.CA) -> Tls:
    return Tls(tmp_path, authority)


class TestTls:
    def test_a_certificate_names_the_user_and_one_that_is_forged_ends_the_handshake_and_is_recorded(
        self, make_service: Make, stand_in: StandInPdp, tls: Tls
    ) -> None:
        alex = write(
            tls.place,
            "alex",
            tls.authority.issue_cert("alex@example.com", common_name="alex", organization_unit_name="eng"),
        )
        strangers = write(tls.place, "x", trustme.CA().issue_cert("alex@example.com", common_name="alex"))
        over = write(
            tls.place,
            "over",
            tls.authority.issue_cert(
                "alex@example.com",
                common_name="alex",
                not_after=dt.datetime.now(dt.UTC) - dt.timedelta(days=1),
            ),
        )
        source = {"type": "mtls", "user_from": "email", "roles": {"map": {"eng": ["engineer"]}}}
        service = make_service(stand_in.address, tls.settings(source, client_ca=str(tls.ca)))
        with contextlib.closing(tls.connect(service, alex)) as connection:
            for _ in range(2):
                answer, session = ask(connection, **{"X-Claude-User": "root"})
                assert answer == {}
                record = record_of(service, session)
                assert (record["user"], record["roles"], record["source"]) == ("alex@example.com", ["engineer"], "mtls")
                assert (record["verified"], record["claimed_user"]) == (True, "root")
        with contextlib.closing(tls.connect(service)) as connection:
            _, session = ask(connection, **{"X-Claude-User": "root"})
            assert record_of(service, session)["source"] == "header"
        for number, files in enumerate((strangers, over), 1):
            with pytest.raises((ssl.SSLError, OSError)), contextlib.closing(tls.connect(service, files)) as connection:
                ask(connection)
            until(lambda n=number: len(service.records("tls_refused")) == n, what="its record")  # type: ignore[misc]
        details = [record["detail"] for record in service.records("tls_refused")]
        assert all(detail["remote"] == "127.0.0.1" for detail in details)
        assert "CERTIFICATE_VERIFY_FAILED" in details[0]["reason"]
        assert "expired" in details[1]["reason"]
        assert len(service.log_events("tls_refused")) == 2
        assert service.metric("hookgate_tls_refused_total") == 2

    def test_without_a_certificate_or_tls_nobody_comes_in_where_one_is_required(
        self, make_service: Make, stand_in: StandInPdp, tls: Tls
    ) -> None:
        service = make_service(
            stand_in.address, tls.settings({"type": "mtls"}, client_ca=str(tls.ca), client_required=True)
        )
        with pytest.raises((ssl.SSLError, OSError)), contextlib.closing(tls.connect(service)) as connection:
            ask(connection)
        with socket.create_connection(("127.0.0.1", service.port)) as plain:
            plain.sendall(raw_hook("s"))
            with contextlib.suppress(ConnectionError):
                assert not plain.recv(65536).startswith(b"HTTP/1.1 200")
        old = tls.client()
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with (
            pytest.raises((ssl.SSLError, OSError)),
            socket.create_connection(("127.0.0.1", service.port)) as connected,
            old.wrap_socket(connected, server_hostname="127.0.0.1"),
        ):
            pass
        until(lambda: len(service.records("tls_refused")) >= 3, what="three records")
        assert service.records() == []

    def test_a_revoked_certificate_comes_in_no_more_and_counts_no_more_on_an_open_connection(
        self, make_service: Make, stand_in: StandInPdp, tls: Tls
    ) -> None:
        alex = write(tls.place, "alex", tls.authority.issue_cert("alex@example.com", common_name="alex"))
        sam = write(tls.place, "sam", tls.authority.issue_cert("sam@example.com", common_name="sam"))
        lists = tls.place / "crl.pem"
        lists.write_bytes(crl(tls.authority))
        service = make_service(
            stand_in.address, tls.settings({"type": "mtls"}, client_ca=str(tls.ca), client_crl=str(lists))
        )
        with (
            contextlib.closing(tls.connect(service, alex)) as of_alex,
            contextlib.closing(tls.connect(service, sam)) as of_sam,
        ):
            assert ask(of_alex)[0] == ask(of_sam)[0] == {}
            lists.write_bytes(crl(tls.authority, alex[0]))
            until(
                lambda: denied_for(
                    {
                        "hookSpecificOutput": {
                            "permissionDecision": "",
                            **ask(of_alex)[0].get("hookSpecificOutput", {"permissionDecisionReason": ""}),
                        }
                    },
                    "identity_invalid",
                ),
                what="the revocation",
            )
            assert ask(of_sam)[0] == {}
        with pytest.raises((ssl.SSLError, OSError)), contextlib.closing(tls.connect(service, alex)) as connection:
            ask(connection)
        until(lambda: service.records("tls_refused"), what="its record")
        assert "revoked" in service.records("tls_refused")[0]["detail"]["reason"]

    def test_a_new_certificate_is_taken_and_no_connection_is_dropped_for_it(
        self, make_service: Make, stand_in: StandInPdp, tls: Tls
    ) -> None:
        service = make_service(stand_in.address, tls.settings())

        def serial() -> int:
            with contextlib.closing(tls.connect(service)) as connection:
                der = connection.sock.getpeercert(binary_form=True)
                assert isinstance(der, bytes)
                return x509.load_der_x509_certificate(der).serial_number

        first = serial()
        with contextlib.closing(tls.connect(service)) as connection:
            assert ask(connection)[0] == {}
            # In two steps, as by hand: in between they don't fit, and the old ones count.
            new = write(tls.place, "new", tls.authority.issue_cert("127.0.0.1"))
            Path(tls.certificate).write_bytes(Path(new[0]).read_bytes())
            until(lambda: service.log_events("identity_file_refused"), what="the fault to be told")
            assert serial() == first
            Path(tls.key).write_bytes(Path(new[1]).read_bytes())
            until(lambda: serial() != first, what="the new certificate")
            assert ask(connection)[0] == {}

    def test_stopping_leaves_no_request_by_tls_unanswered(
        self, make_service: Make, stand_in: StandInPdp, tls: Tls
    ) -> None:
        service = make_service(stand_in.address, tls.settings())
        answered: list[str] = []
        stop, failed = threading.Event(), list[Exception]()

        def call() -> None:
            try:
                with contextlib.closing(tls.connect(service)) as connection:
                    while not stop.is_set():
                        session = str(uuid.uuid4())
                        body = json.dumps(payload("PreToolUse.Bash", session_id=session))
                        connection.request("POST", "/ext/claude", body, {"Content-Type": "application/json"})
                        with connection.getresponse() as response:
                            assert response.status == 200
                            json.loads(response.read())
                            answered.append(session)
                            if response.getheader("Connection", "").lower() == "close":
                                return
            except (OSError, http.client.HTTPException) as error:
                failed.append(error)

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: len(answered) > 40, what="calls")
        assert service.stop() == 0
        stop.set()
        for thread in threads:
            thread.join()
        assert failed == []
        recorded = {record["session_id"] for record in service.records()}
        assert set(answered) == recorded

    def test_a_malformed_request_by_tls_is_answered_like_any_other(
        self, make_service: Make, stand_in: StandInPdp, tls: Tls
    ) -> None:
        service = make_service(stand_in.address, tls.settings())
        for request in (
            b"\0\0\0\r\n\r\n",
            raw_hook("s").replace(b"Host:", b"Ho\0st:"),
            raw_hook("s", "X: " + "x" * 70_000),
        ):
            with (
                socket.create_connection(("127.0.0.1", service.port), timeout=20) as connected,
                tls.client().wrap_socket(connected, server_hostname="127.0.0.1") as connection,
            ):
                connection.sendall(request)
                assert connection.recv(65536).startswith((b"HTTP/1.1 200", b"HTTP/1.0 200"))

    @pytest.mark.parametrize("broken", ["certificate", "key", "client_ca", "client_crl"])
    def test_files_that_cannot_be_used_are_one_clear_line(
        self, make_service: Make, stand_in: StandInPdp, tls: Tls, broken: str
    ) -> None:
        bad = tls.place / "bad.pem"
        bad.write_text("no PEM")
        files = {
            "client_ca": str(tls.ca),
            **({"client_crl": str(bad)} if broken == "client_crl" else {}),
            broken: str(bad),
        }
        with pytest.raises(AssertionError, match=r"hookgate: server\.tls: .*(bad|server)\.pem: "):
            make_service(stand_in.address, tls.settings(**files))


def test_without_tls_an_address_that_others_reach_is_told_of(make_service: Make, stand_in: StandInPdp) -> None:
    service = make_service(stand_in.address, {"server": {"host": "0.0.0.0"}})
    assert service.log_events("no_tls")
    assert any("without TLS" in line for line in json.loads(service.get("/readyz")[1])["warnings"])
    quiet = make_service(stand_in.address)
    assert not any("without TLS" in line for line in json.loads(quiet.get("/readyz")[1])["warnings"])
