"""What does not go together is refused, with what to do about it."""

from typing import Any

import pytest

from tests.helm.chart import Chart, RefusedError

EXTERNAL = {"pdp.external.address": "dns:///cerbos:3593"}
HTTP = {"type": "http", "url": "https://collector.example.com/"}
ENROLLED = {"enroll.url": "https://collector.example.com:3596", "enroll.codesSecret": "codes"}
COLLECTOR: dict[str, Any] = {
    "collector.enabled": True,
    "collector.store.existingSecret": "store",
    "collector.tls.existingSecret": "tls",
}
CONSOLE: dict[str, Any] = {
    "collector.console.enabled": True,
    "collector.console.tlsSecret": "pages",
    "collector.console.config": {"console": {"tokens": "/etc/tokens/tokens.json"}},
}
STORE = {"store.type": "postgres", "store.postgres.existingSecret": "store"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "Deployment"}, "kind: Deployment without a volume for the journal"),
        ({"persistence.enabled": False}, "Name a sink outside of it"),
        ({"kind": "Deployment", "shippers": [{"type": "stdout"}]}, "store.type: postgres, or shippers with otlp"),
        ({"kind": "None"}, "without sidecar.enabled or collector.enabled makes nothing"),
        ({**ENROLLED, "persistence.enabled": False}, "a code enrols one journal"),
        ({**STORE, **ENROLLED, "kind": "None", "sidecar.enabled": True}, "take kind: StatefulSet with persistence"),
        ({"enroll.url": "https://collector.example.com:3596"}, "needs enroll.codesSecret"),
        ({**COLLECTOR, "collector.store.existingSecret": ""}, "needs collector.store.existingSecret"),
        ({**COLLECTOR, "collector.tls.existingSecret": ""}, "tokens would go over the network in the clear"),
        (
            {**COLLECTOR, "collector.tls.existingSecret": "", "collector.tls.certManager.enabled": True},
            "needs collector.tls.certManager.issuerRef.name",
        ),
        (
            {
                **COLLECTOR,
                "collector.tls.certManager.enabled": True,
                "collector.tls.certManager.issuerRef.name": "x",
            },
            "one certificate, please",
        ),
        ({**COLLECTOR, "collector.certificates": "cn"}, "the authorities of machines' certificates"),
        ({**COLLECTOR, "collector.tls.clientRequired": True}, "need collector.tls.clientCa.existingSecret"),
        (
            {
                **COLLECTOR,
                "collector.tls.existingSecret": "",
                "collector.plaintext": True,
                "collector.tls.clientCa.existingSecret": "x",
            },
            "needs a certificate of the collector",
        ),
        ({**COLLECTOR, "collector.forward": [{"type": "file", "path": "/x"}]}, "file: a replica keeps nothing"),
        ({**COLLECTOR, "collector.forward": [{"type": "postgres", "url": "${X}"}]}, "fills one store"),
        ({**COLLECTOR, "collector.forward": [{"type": "kafkaa"}]}, '"kafkaa" is no type of shipper'),
        ({**COLLECTOR, "collector.forward": [{"url": "https://x"}]}, "without a type"),
        (
            {**COLLECTOR, "collector.forward": [{**HTTP, "headers": {"Authorization": "Bearer abc"}}]},
            "collector.config.audit.shippers[1].headers.Authorization: a secret as it is",
        ),
        ({**COLLECTOR, "collector.config": {"admin": {"enabled": False}}}, "collector.config.admin.enabled: false"),
        ({**COLLECTOR, "collector.networkPolicy.egress.enabled": True}, "the store is outside of the pod"),
        ({**COLLECTOR, "collector.console.enabled": True}, "nothing says who may look"),
        (
            {
                **COLLECTOR,
                "collector.console.enabled": True,
                "collector.console.config": {"console": {"tokens": "/t/x"}},
            },
            "set collector.console.tlsSecret",
        ),
        (
            {**COLLECTOR, **CONSOLE, "collector.store.schema": "fleet"},
            "name a Secret with such a URL in collector.console.storeSecret",
        ),
        (
            {
                **COLLECTOR,
                **CONSOLE,
                "collector.console.config": {"console": {"oidc": {"issuer": "https://a", "client_secret": "b"}}},
            },
            "collector.console.config.console.oidc.client_secret: a secret as it is",
        ),
        ({"sidecar.enabled": True}, "a sidecar's journal ends with its pod"),
        ({"store.type": "postgres"}, "needs store.postgres.existingSecret"),
        ({"tls.certManager.enabled": True}, "needs tls.certManager.issuerRef.name"),
        (
            {"tls.certManager.enabled": True, "tls.certManager.issuerRef.name": "x", "tls.existingSecret": "y"},
            "one certificate, please",
        ),
        ({"tls.clientCa.existingSecret": "x"}, "need a certificate of the listener"),
        ({"tls.existingSecret": "x", "tls.clientRequired": True}, "needs tls.clientCa.existingSecret"),
        (
            {"tls.existingSecret": "x", "tls.clientRequired": True, "tls.clientCa.existingSecret": "y"},
            "set helmTest.clientSecret",
        ),
        ({"policies.source": "git"}, "needs policies.git.url"),
        (
            {"policies.source": "git", "policies.git.url": "h:p", "policies.git.protocol": "ssh"},
            "policies.git.existingSecret with `ssh-privatekey`",
        ),
        ({"policies.source": "blob"}, "needs policies.blob.bucket"),
        ({"policies.source": "hub"}, "needs policies.hub.deploymentId"),
        ({"policies.source": "hub", "policies.hub.deploymentId": "X"}, "needs policies.hub.existingSecret"),
        ({"policies.files": {"a.yaml": "a"}, "policies.existingConfigMap": "x"}, "policies come from one of them"),
        ({"pdp.metrics.enabled": True}, "set policies.reload.enabled: false"),
        ({**EXTERNAL, "pdp.metrics.enabled": True}, "is about the PDP beside Hookgate"),
        ({"config": {"pdp": {"address": "unix:/x"}}}, "name another one in pdp.external.address"),
        ({"config": {"admin": {"enabled": False}}}, "leaves the probes nobody to ask"),
        ({"config": {"decision": {"deadline_seconds": 6}}}, "preStopSeconds: 5 is not longer than a decision may take"),
        ({"terminationGracePeriodSeconds": 20}, "at least 25, or 0 for just that"),
        (
            {"autoscaling.enabled": True, "autoscaling.cpuPercent": None},
            "needs autoscaling.cpuPercent or autoscaling.inFlight",
        ),
        (
            {"monitoring.serviceMonitor.enabled": True, "monitoring.podMonitor.enabled": True},
            "each decision would be counted twice",
        ),
        (
            {"shippers": [{**HTTP, "headers": {"Authorization": "Splunk abc"}}]},
            "config.audit.shippers[1].headers.Authorization: a secret as it is would stand in a ConfigMap",
        ),
        (
            {"shippers": [{"type": "postgres", "url": "postgresql://me:pass${A}@host/db"}]},
            "config.audit.shippers[1].url: a secret as it is",
        ),
        (
            {"config": {"audit": {"shippers": [{"type": "kafka", "brokers": ["a:1"], "topic": "a", "password": "b"}]}}},
            "config.audit.shippers[0].password: a secret as it is",
        ),
        (
            {"pdp.config": {"storage": {"git": {"https": {"password": "a"}}}}},
            "pdp.config.storage.git.https.password: a secret as it is",
        ),
        ({"helmTest.headers": {"authorization": "Bearer a"}}, "name its Secret in helmTest.token.existingSecret"),
        (
            {**STORE, **EXTERNAL, "networkPolicy.egress.enabled": True, "identity.kubernetes.enabled": True},
            "and postgres, pdp.external, identity.kubernetes is outside of the pod: add a rule",
        ),
        (
            {"policies.source": "git", "policies.git.url": "https://a/b", "networkPolicy.egress.enabled": True},
            "and policies.source: git is outside",
        ),
    ],
)
def test_it_is_refused(chart: Chart, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RefusedError) as caught:
        chart.rendered(changes=changes)
    assert words in str(caught.value)


@pytest.mark.parametrize("sink", ["otlp", "kafka", "http", "collector"])
def test_a_deployment_is_rendered_with_a_sink_outside_of_the_pod(chart: Chart, sink: str) -> None:
    made = {
        "otlp": {"type": "otlp", "url": "https://collector.example.com/v1/logs"},
        "kafka": {"type": "kafka", "brokers": ["kafka:9092"], "topic": "hookgate", "tls": True},
        "http": {"type": "http", "url": "https://collector.example.com/"},
        "collector": {
            "type": "collector",
            "url": "https://c.example.com:3596",
            "certificate": "/csi/a",
            "key": "/csi/b",
        },
    }[sink]
    assert chart.rendered(changes={"kind": "Deployment", "shippers": [made]}).workload()["kind"] == "Deployment"
    # As it also is where a file of settings names the sinks.
    config = {"audit": {"shippers": [made]}}
    assert chart.rendered(changes={"kind": "Deployment", "config": config}).settings()["audit"]["shippers"] == [made]


def test_secrets_from_variables_are_none_that_stand_there(chart: Chart) -> None:
    shippers = [
        {**HTTP, "headers": {"Authorization": "Splunk ${SPLUNK_TOKEN}", "X-Site": "eu"}},
        {"type": "postgres", "url": "postgresql://me:${STORE_PASSWORD}@host:5432/db"},
        {"type": "http", "url": "https://example.com:8088/a@b"},
    ]
    assert chart.rendered(changes={"shippers": shippers}).settings()["audit"]["shippers"][1:] == shippers


def test_with_nothing_outside_of_the_pod_nothing_has_to_go_out(chart: Chart) -> None:
    spec = chart.rendered(changes={"networkPolicy.egress.enabled": True}).one("NetworkPolicy")["spec"]
    assert [rule["ports"][0]["port"] for rule in spec["egress"]] == [53]


def test_a_store_outside_of_the_pod_is_a_sink(chart: Chart) -> None:
    rendered = chart.rendered(changes={"kind": "Deployment", **STORE})
    journal = next(one for one in rendered.gateway()["volumes"] if one["name"] == "hookgate-journal")
    assert journal["emptyDir"] == {}
