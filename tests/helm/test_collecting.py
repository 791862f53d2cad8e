"""The collector that the chart renders takes the journal of a replica that the chart enrols, and the pages show it."""

import json
import os
import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hookgate.binaries import BinaryError
from tests.helm.chart import Chart
from tests.helm.pod import Pod
from tests.helm.values import CHART
from tests.support.postgres import PostgresServer
from tests.support.wait import until

FLEET = CHART / "ci" / "fleet-values.yaml"
CONSOLE: dict[str, Any] = {
    "collector.console.enabled": True,
    "collector.console.tlsSecret": "pages-tls",
    "collector.console.config": {"console": {"tokens": "/etc/hookgate/tokens/tokens.json"}},
    "collector.console.extraVolumes": [{"name": "tokens", "secret": {"secretName": "tokens"}}],
    "collector.console.extraVolumeMounts": [{"name": "tokens", "mountPath": "/etc/hookgate/tokens", "readOnly": True}],
}


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """A server for the collector's store."""
    try:
        server = PostgresServer()
    except BinaryError as error:
        if os.environ.get("HOOKGATE_REQUIRE") == "all":
            raise
        pytest.skip(f"{error} (run: make prepare)")
    yield server.start()
    server.stop()


@pytest.fixture
def made(postgres: PostgresServer) -> Iterator[list[Pod]]:
    """The pods, which end before their store."""
    running: list[Pod] = []
    yield running
    for pod in reversed(running):
        pod.remove()


def seen(pod: Pod) -> list[dict[str, Any]]:
    """What `hookgate fleet` says in the collector's pod, as NOTES has it."""
    done = pod.run("collector", ["hookgate", "fleet", "--json"])
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_replica_is_enrolled_with_the_code_of_its_name_and_its_journal_arrives(
    chart: Chart, postgres: PostgresServer, made: list[Pod]
) -> None:
    rendered = chart.rendered(FLEET, CONSOLE)
    collector = Pod(rendered, rendered.collector(), HOOKGATE_STORE=postgres.url())
    made.append(collector)
    collector.begin("collector")
    url = f"https://127.0.0.1:{collector.port}"
    rendered = chart.rendered(FLEET, {**CONSOLE, "enroll.url": url})
    replica = Pod(rendered, rendered.gateway())
    made.append(replica)
    authority = collector.inside("/etc/hookgate/tls/ca.crt")
    (replica.inside("/etc/hookgate/collector-ca") / "ca.crt").unlink()
    (replica.inside("/etc/hookgate/collector-ca") / "ca.crt").write_bytes(authority.read_bytes())
    # It decides and records before anybody has made a code for it, and without its PDP.
    replica.begin("hookgate-enroll")
    replica.begin("hookgate")
    until(lambda: ready(collector.admin_port), seconds=60, what="the collector to be ready")
    code = collector.run("collector", said(rendered.notes, "hookgate collect code"))
    assert code.returncode == 0, code.stderr
    (replica.inside("/etc/hookgate/codes") / "hookgate-0").write_text(code.stdout)
    until(lambda: any(one["seq"] for one in seen(collector)), seconds=60, what="the journal's lines in the store")
    (standing,) = seen(collector)
    assert (standing["name"], standing["marks"]) == ("alex-laptop", [])
    assert replica.mode("/var/lib/hookgate/audit/collector.token") == "-rw-------"
    assert code.stdout.strip() not in replica.log("hookgate-enroll")
    shown(Pod(rendered, rendered.console(), HOOKGATE_STORE=postgres.url()), made)
    assert (replica.end("hookgate-enroll"), collector.end("collector")) == (0, 0)


def shown(console: Pod, made: list[Pod]) -> None:
    """Looks at the pages."""
    made.append(console)
    tokens = console.inside("/etc/hookgate/tokens/tokens.json")
    tokens.unlink()
    done = console.run(
        "console", ["hookgate", "token", "create", "--user", "kim", "--role", "viewer", "--file", str(tokens)]
    )
    assert done.returncode == 0, done.stderr
    console.begin("console")
    until(lambda: ready(console.ship_port, "/livez"), seconds=60, what="the pages to be served")
    request = urllib.request.Request(
        f"https://127.0.0.1:{console.port}/fleet", headers={"Authorization": f"Bearer {done.stdout.strip()}"}
    )
    trusting = ssl.create_default_context(cafile=console.inside("/etc/hookgate/tls/ca.crt"))
    with urllib.request.urlopen(request, timeout=30, context=trusting) as answer:
        assert "alex-laptop" in answer.read().decode()


def said(notes: str, command: str) -> list[str]:
    """A command of NOTES, without what brings it into the pod."""
    (line,) = [line for line in notes.splitlines() if f"-- {command}" in line]
    return line.partition("-- ")[2].split()


def ready(port: int, path: str = "/readyz") -> bool:
    """Whether a probe of the kubelet's would pass."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_what_enrols_is_the_file_in_the_chart(chart: Chart) -> None:
    pod = chart.rendered(FLEET).gateway()
    (one,) = [each for each in pod["initContainers"] if each["name"] == "hookgate-enroll"]
    assert one["command"][3] == Path(CHART / "files" / "enroll.py").read_text()
    # It begins before the service, and is no condition of it.
    assert (one["restartPolicy"], "startupProbe" in one) == ("Always", False)
