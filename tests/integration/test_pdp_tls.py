"""TLS between Hookgate and the PDP: certificates that are vouched for, and all others."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from tests.integration.conftest import Serving
from tests.integration.deciding import Decided, decide
from tests.integration.faults import DEADLINE_SECONDS
from tests.integration.stand_in import StandInPdp
from tests.support.pdp import Pdp
from tests.support.wait import free_port


class Certificates:
    """A CA, and certificates of it in files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ca = trustme.CA()
        self.ca = directory / "ca.pem"
        self._ca.cert_pem.write_to_path(self.ca)

    def issue(self, name: str) -> tuple[Path, Path]:
        """Gives the files of a certificate and its key."""
        made = self._ca.issue_cert(name)
        certificate, key = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        made.private_key_pem.write_to_path(key)
        return certificate, key


class TestTls:
    """Both sides' certificates. A service under test keeps to a short deadline, so that refusals are soon told."""

    @pytest.fixture(scope="class", name="certificates")
    @staticmethod
    def certificates_of_a_ca(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
        return Certificates(tmp_path_factory.mktemp("certificates"))

    @pytest.fixture(scope="class", name="tls_pdp")
    @staticmethod
    def pdp_with_tls(cerbos: Path, allowing: Path, certificates: Certificates) -> Iterator[Pdp]:
        certificate, key = certificates.issue("localhost")
        tls = {"cert": str(certificate), "key": str(key)}
        pdp = Pdp(allowing, listen=f"127.0.0.1:{free_port()}", tls=tls).start()
        yield pdp
        pdp.stop()

    @pytest.fixture(name="decided_with", params=["http2", "grpcio"])
    def decided_with_settings(self, make_service: Serving, request: pytest.FixtureRequest) -> Callable[..., Decided]:
        def decided(pdp: Pdp | StandInPdp, **tls: Any) -> Decided:
            settings = {
                "decision": {"deadline_seconds": DEADLINE_SECONDS},
                "pdp": {"tls": tls, "transport": request.param},
            }
            return decide(make_service(pdp.address, settings, ready=False))

        return decided

    def test_is_spoken_to_a_pdp_whose_certificate_the_ca_vouches_for(
        self, decided_with: Callable[..., Decided], tls_pdp: Pdp, certificates: Certificates
    ) -> None:
        found = decided_with(tls_pdp, enabled=True, ca=str(certificates.ca), server_name="localhost")
        assert found.record["outcome"] == "allow"

    def test_to_a_certificate_of_another_ca_is_unavailable(
        self, decided_with: Callable[..., Decided], tls_pdp: Pdp, tmp_path: Path
    ) -> None:
        found = decided_with(tls_pdp, enabled=True, ca=str(Certificates(tmp_path).ca), server_name="localhost")
        assert (found.permission, found.record["error"]) == ("deny", "pdp_unavailable")

    def test_to_a_certificate_for_another_name_is_unavailable(
        self, decided_with: Callable[..., Decided], tls_pdp: Pdp, certificates: Certificates
    ) -> None:
        found = decided_with(tls_pdp, enabled=True, ca=str(certificates.ca))
        assert (found.permission, found.record["error"]) == ("deny", "pdp_unavailable")

    def test_to_a_pdp_that_speaks_plaintext_is_unavailable(
        self,
        decided_with: Callable[..., Decided],
        make_pdp: Callable[..., Pdp],
        allowing: Path,
        certificates: Certificates,
    ) -> None:
        plain = make_pdp(allowing, listen=f"127.0.0.1:{free_port()}")
        found = decided_with(plain, enabled=True, ca=str(certificates.ca), server_name="localhost")
        assert (found.permission, found.record["error"]) == ("deny", "pdp_unavailable")

    def test_that_only_the_pdp_speaks_is_unavailable(self, decided_with: Callable[..., Decided], tls_pdp: Pdp) -> None:
        found = decided_with(tls_pdp, enabled=False)
        assert (found.permission, found.record["error"]) == ("deny", "pdp_unavailable")

    def test_with_a_client_certificate_is_spoken_to_a_server_that_demands_one(
        self, decided_with: Callable[..., Decided], certificates: Certificates
    ) -> None:
        certificate, key = certificates.issue("localhost")
        credentials = grpc.ssl_server_credentials(
            [(key.read_bytes(), certificate.read_bytes())],
            root_certificates=certificates.ca.read_bytes(),
            require_client_auth=True,
        )
        server = StandInPdp(credentials)
        try:
            ours, ours_key = certificates.issue("hookgate.test")
            common = {"enabled": True, "ca": str(certificates.ca), "server_name": "localhost"}
            found = decided_with(server, **common, certificate=str(ours), key=str(ours_key))
            assert (found.record["outcome"], server.callers) == ("allow", [{b"hookgate.test"}])
            bare = decided_with(server, **common)
            assert (bare.permission, bare.record["error"]) == ("deny", "pdp_unavailable")
        finally:
            server.stop()
