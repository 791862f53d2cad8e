"""The collector that the chart renders takes the journal of a replica that the chart enrols, and the pages show it."""

import json
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helm.chart import Chart
from tests.helm.pod import Pod
from tests.helm.values import CHART
from tests.support.postgres import PostgresServer, running_postgres
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
    with running_postgres() as server:
        yield server


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
    asked = strangers(collector, url)
    assert asked.returncode == 0, asked.stdout
    code = collector.run("collector", said(rendered.notes, "hookgate collect code"))
    assert code.returncode == 0, code.stderr
    (replica.inside("/etc/hookgate/codes") / "hookgate-0").write_text(code.stdout)
    until(lambda: stored(collector.admin_port) > 0, seconds=120, what="the journal's lines in the store")
    (standing,) = seen(collector)
    assert standing["seq"] > 0
    # Nobody is trusted because he answers.
    assert "CERTIFICATE_VERIFY_FAILED" in strangers(collector, url, COLLECTOR_CA="/missing").stdout
    assert (standing["name"], standing["marks"]) == ("alex-laptop", [])
    assert replica.mode("/var/lib/hookgate/audit/collector.token") == "-rw-------"
    assert code.stdout.strip() not in replica.log("hookgate-enroll")
    shown(Pod(rendered, rendered.console(), HOOKGATE_STORE=postgres.url()), made)
    assert (replica.end("hookgate-enroll"), collector.end("collector")) == (0, 0)


def stored(port: int) -> float:
    """How many lines the collector has stored, as its metrics say."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return sum(
        float(line.split()[-1]) for line in lines if line.startswith('hookgate_collect_records_total{result="new"')
    )


def strangers(collector: Pod, url: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Runs what `helm test` runs, against the pod."""
    (test,) = [one for one in collector.rendered.tests if one["metadata"]["name"] == "hookgate-collector-test"]
    (one,) = test["spec"]["containers"]
    found = {variable["name"]: variable["value"] for variable in one["env"]}
    authority = collector.inside("/etc/hookgate/tls/ca.crt")
    found |= {"COLLECTOR_URL": url, "COLLECTOR_CA": str(authority), **variables}
    assert found["COLLECTOR_NAMES"] == "hookgate-collector.agents.svc"
    found["COLLECTOR_NAMES"] = "elsewhere.example.com 127.0.0.1"
    words = [sys.executable, *one["command"][1:], *one["args"]]
    return subprocess.run(words, env=found, capture_output=True, text=True, check=False)


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
