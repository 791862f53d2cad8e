"""The real client proves who asks, and policies decide by what was proven, not by what a header says."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.conftest import ROOT
from tests.e2e.client import Workspace
from tests.e2e.model import Call, Model, turn
from tests.e2e.session import Run
from tests.e2e.settings import Settings, hook_settings
from tests.e2e.trail import assert_recorded_once, decisions
from tests.integration.running import run as run_command
from tests.support.issuer import AUDIENCE, ISSUER, Key, claims
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess
from tests.support.wait import until

#: Engineers run commands, marketing does not.
POLICIES = ROOT / "tests" / "fixtures" / "guide-policies" / "5"
EVENTS = ("PreToolUse", "PermissionRequest", "PostToolUse")
TOUCH = Call("Bash", {"command": "touch marker"}, id="toolu_touch")
#: What everybody claims.
CLAIMED = {"x-claude-user": "root", "x-claude-user-roles": "engineering"}
ROLES = {"map": {"eng": ["engineering"], "mkt": ["marketing"]}}
LAST = [{"type": "headers"}, {"type": "default"}]

Make = Callable[..., ServiceProcess]


@pytest.fixture
def pdp(make_pdp: Callable[..., Pdp]) -> Pdp:
    return make_pdp(POLICIES)


def searched(service: ServiceProcess, user: str) -> list[dict[str, Any]]:
    """Gives what `hookgate audit search` finds of a user, once the store has it."""
    found: list[dict[str, Any]] = []
    directory = service.settings["audit"]["directory"]

    def arrived() -> bool:
        done = run_command("audit", "search", "--directory", directory, "--user", user, "--verified", "--json")
        found[:] = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return bool(found)

    until(arrived, seconds=30, what=f"records of {user} in the store")
    return found


def assert_decided_by_role(
    service: ServiceProcess, run: Run, space: Workspace, *, user: str, source: str, may: bool
) -> None:
    """The command ran, or did not, by the verified user's role."""
    marker = space.project / "marker"
    assert marker.exists() is may
    marker.unlink(missing_ok=True)
    assert_recorded_once(service, run, ran=[TOUCH.id] if may else [], stopped=[] if may else [TOUCH.id])
    (record,) = decisions(service, run, "PreToolUse")
    assert (record["user"], record["source"], record["verified"]) == (user, source, True)
    assert record["roles"] == ["engineering" if may else "marketing"]
    assert record["claimed_user"] == "root"


def test_a_token_from_the_environment_proves_the_user_and_nobody_asks_without_one(
    make_service: Make, pdp: Pdp, space: Workspace, model: Model, tmp_path: Path
) -> None:
    key = Key()
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [key.public]}))
    issuer = {
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "jwks_file": str(tmp_path / "jwks.json"),
        "groups_claim": "groups",
        "roles": ROLES,
    }
    sources = [{"type": "jwt", "issuers": [issuer]}, *LAST]
    service = make_service(
        pdp.address,
        {"identity": {"sources": sources, "require_verified": True}, "audit": {"shippers": [{"type": "sqlite"}]}},
    )
    settings = hook_settings(
        service.url,
        EVENTS,
        headers={**CLAIMED, "Authorization": "Bearer ${HOOKGATE_TOKEN}"},
        variables=["HOOKGATE_TOKEN"],
    )
    for user, group, may in (("alex", "eng", True), ("sam", "mkt", False)):
        token = key.sign(claims(sub=user, groups=[group]))
        run = space.run(model.script(turn(TOUCH)), settings, environment={"HOOKGATE_TOKEN": token})
        assert_decided_by_role(service, run, space, user=user, source="jwt", may=may)
        assert token not in json.dumps(service.records(None)) + service.log()
    assert {record["verified"] for record in searched(service, "alex")} == {True}

    run = space.run(model.script(turn(TOUCH)), settings)
    assert not (space.project / "marker").exists()
    assert "identity_required" in run.tool_results[TOUCH.id]
    forged = Key().sign(claims())
    run = space.run(model.script(turn(TOUCH)), settings, environment={"HOOKGATE_TOKEN": forged})
    assert not (space.project / "marker").exists()
    assert "identity_invalid" in run.tool_results[TOUCH.id]


def test_a_client_certificate_proves_the_user_and_a_forged_one_stops_the_call(
    make_service: Make, pdp: Pdp, space: Workspace, model: Model, tmp_path: Path
) -> None:
    authority, others = trustme.CA(), trustme.CA()
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))

    def issued(by: trustme.CA, name: str, unit: str) -> dict[str, str]:
        certificate = by.issue_cert(f"{name}@example.com", common_name=name, organization_unit_name=unit)
        chain, key = tmp_path / f"{name}.pem", tmp_path / f"{name}.key"
        chain.write_bytes(b"".join(part.bytes() for part in certificate.cert_chain_pems))
        certificate.private_key_pem.write_to_path(str(key))
        return {
            "CLAUDE_CODE_CLIENT_CERT": str(chain),
            "CLAUDE_CODE_CLIENT_KEY": str(key),
            "NODE_EXTRA_CA_CERTS": str(ca),
        }

    server = authority.issue_cert("127.0.0.1")
    server.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    files = {"certificate": str(tmp_path / "server.pem"), "key": str(tmp_path / "server.pem"), "client_ca": str(ca)}
    sources = [{"type": "mtls", "roles": ROLES}, *LAST]
    service = make_service(
        pdp.address,
        {"server": {"tls": files}, "identity": {"sources": sources}, "audit": {"shippers": [{"type": "sqlite"}]}},
    )
    url = service.url.replace("http:", "https:")
    settings: Settings = hook_settings(url, EVENTS, headers=CLAIMED, on_failure="block")
    for user, unit, may in (("alex", "eng", True), ("sam", "mkt", False)):
        run = space.run(model.script(turn(TOUCH)), settings, environment=issued(authority, user, unit))
        assert_decided_by_role(service, run, space, user=user, source="mtls", may=may)
    assert {record["verified"] for record in searched(service, "alex")} == {True}

    run = space.run(model.script(turn(TOUCH)), settings, environment=issued(others, "eve", "eng"))
    assert not (space.project / "marker").exists()
    assert decisions(service, run) == []
    assert service.records("tls_refused")[0]["detail"]["remote"] == "127.0.0.1"
