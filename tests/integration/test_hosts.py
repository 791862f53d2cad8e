"""Which hosts a running service is known by, on either listener."""

import http.client
import json
from collections.abc import Callable

from tests.conftest import payload
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess


def asked(port: int, headers: dict[str, str], path: str = "/ext/claude", method: str = "POST") -> tuple[int, str]:
    """Sends a hook, or asks for a page, with just these header fields; gives status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    body = json.dumps(payload("PreToolUse.Bash")).encode() if method == "POST" else b""
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


def test_a_page_reads_neither_probes_nor_metrics(shipped_service: ServiceProcess) -> None:
    before = shipped_service.metric("hookgate_admin_refused_total")
    for headers in (
        {"Host": "evil.example"},
        {"Host": "127.0.0.1", "Origin": "https://evil.example"},
        {"Host": "127.0.0.1", "Sec-Fetch-Site": "cross-site"},
    ):
        for path in ("/metrics", "/readyz", "/livez", "/elsewhere"):
            status, body = asked(shipped_service.admin_port, headers, path, "GET")
            assert (status, "admin.allowed_hosts" in body) == (403, True)
    assert shipped_service.metric("hookgate_admin_refused_total") - before == 12
    for host in ("localhost:9464", f"127.0.0.1:{shipped_service.admin_port}"):
        assert asked(shipped_service.admin_port, {"Host": host}, "/livez", "GET")[0] == 200


def test_names_of_a_service_are_taken_once_they_are_configured(
    make_service: Callable[..., ServiceProcess], shipped_pdp: Pdp
) -> None:
    service = make_service(
        shipped_pdp.address,
        {
            "server": {"allowed_hosts": ["hooks.example.com"]},
            "admin": {"allowed_hosts": ["hookgate.monitoring.svc"]},
        },
    )
    status, body = asked(service.port, {"Host": "Hooks.example.com:443"})
    assert (status, "request_foreign" in body) == (200, False)
    status, body = asked(service.port, {"Host": "evil.example"})
    assert (status, "request_foreign" in body) == (200, True)
    (refused,) = [record for record in service.records() if record["error"]]
    assert (refused["error"], refused["error_detail"]) == ("request_foreign", "Host evil.example")
    assert service.metric("hookgate_errors_total", kind="request_foreign") == 1
    assert asked(service.admin_port, {"Host": "hookgate.monitoring.svc:9464"}, "/livez", "GET")[0] == 200
    assert asked(service.admin_port, {"Host": "hooks.example.com"}, "/livez", "GET")[0] == 403
