"""Who reaches what: Services, policies of the network, monitors, names and hook URLs."""

import re
from typing import Any

import yaml

from hookgate.config import parse
from tests.docs.tables import ROOT
from tests.helm.chart import CI, Chart, Manifest, Rendered, containers
from tests.helm.values import CHART


def file(name: str) -> Any:
    """Gives a file of values."""
    return CHART / "ci" / f"{name}-values.yaml"


def matches(selector: dict[str, str], labels: dict[str, str]) -> bool:
    """Whether a selector picks what has these labels."""
    return selector.items() <= labels.items()


def test_services_policies_and_monitors_pick_the_pods_and_ports_that_are_there(chart: Chart) -> None:
    seen = set()
    for name in CI:
        rendered = chart.rendered(name)
        for workload in rendered.workloads():
            seen |= {(workload["metadata"]["name"], kind) for kind in _picking(rendered, workload)}
        for one in (*rendered.all("Service"), *rendered.all("NetworkPolicy"), *rendered.all("PodDisruptionBudget")):
            picked = [each for each in rendered.workloads() if matches(_selector(one), _labels(each))]
            assert len(picked) == 1, one["metadata"]["name"]
    assert seen == {
        (workload, kind)
        for workload in ("hookgate", "hookgate-collector")
        for kind in ("PodDisruptionBudget", "NetworkPolicy", "ServiceMonitor", "PodMonitor")
    } | {("hookgate-console", "NetworkPolicy")}


def _labels(workload: Manifest) -> dict[str, str]:
    labels: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return labels


def _selector(one: Manifest) -> dict[str, str]:
    if one["kind"] == "Service":
        plain: dict[str, str] = one["spec"]["selector"]
        return plain
    labels: dict[str, str] = (one["spec"].get("selector") or one["spec"]["podSelector"])["matchLabels"]
    return labels


def _picking(rendered: Rendered, workload: Manifest) -> set[str]:
    """Gives the kinds that pick a workload's pods, once their ports were compared with those that are there."""
    labels, pod = _labels(workload), workload["spec"]["template"]["spec"]
    numbers = {port["name"]: port["containerPort"] for one in containers(pod).values() for port in one.get("ports", [])}
    ports = set(numbers)
    main = {port["name"] for one in pod["containers"] for port in one.get("ports", [])}
    # Not everything finds the named ports of native sidecars: those are told by number.
    reached = main | {numbers[name] for name in ports - main}
    services = [one for one in rendered.all("Service") if matches(_selector(one), labels)]
    assert services
    for service in services:
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= reached
    found = {one["kind"] for one in rendered.all("PodDisruptionBudget") if matches(_selector(one), labels)}
    for policy in [one for one in rendered.all("NetworkPolicy") if matches(_selector(one), labels)]:
        assert {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]} == reached
        found.add("NetworkPolicy")
    for monitor in rendered.all("ServiceMonitor"):
        for one in services:
            if matches(_selector(monitor), one["metadata"]["labels"]):
                named = {port["name"] for port in one["spec"]["ports"]}
                assert {each["port"] for each in monitor["spec"]["endpoints"]} == named
                found.add("ServiceMonitor")
    for monitor in [one for one in rendered.all("PodMonitor") if matches(_selector(one), labels)]:
        assert {one["port"] for one in monitor["spec"]["podMetricsEndpoints"]} == ports - {"hooks", "records"}
        found.add("PodMonitor")
    return found


def test_hooks_and_metrics_have_different_services(chart: Chart) -> None:
    rendered = chart.rendered(file("default"))
    assert [port["name"] for port in rendered.one("Service")["spec"]["ports"]] == ["hooks"]
    pods = rendered.one("Service", "hookgate-pods")["spec"]
    assert (pods["clusterIP"], [port["name"] for port in pods["ports"]]) == ("None", ["admin"])
    assert rendered.workload()["spec"]["serviceName"] == "hookgate-pods"


def test_the_network_policy_bounds_who_posts_who_reads_and_what_goes_out(chart: Chart) -> None:
    spec = chart.rendered(file("hardened")).one("NetworkPolicy")["spec"]
    hooks, metrics = spec["ingress"]
    assert hooks["from"][0] == {"ipBlock": {"cidr": "198.51.100.0/24"}}
    assert hooks["from"][1]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "test"
    assert metrics["from"][0]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "monitoring"}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert [rule["ports"][0]["port"] for rule in spec["egress"]] == [53, 443]
    assert chart.rendered(file("default")).one("NetworkPolicy")["spec"]["policyTypes"] == ["Ingress"]


def test_a_label_of_its_own_counts_for_more_than_that_of_all_and_stands_once(chart: Chart) -> None:
    labels = {"commonLabels": {"release": "ours", "team": "a", "app.kubernetes.io/name": "other"}}
    monitored = {
        "monitoring.serviceMonitor.enabled": True,
        "monitoring.serviceMonitor.labels": {"release": "prometheus"},
    }
    rendered = chart.rendered(changes={**labels, **monitored})
    found = rendered.one("ServiceMonitor")["metadata"]["labels"]
    assert (found["release"], found["team"], found["app.kubernetes.io/name"]) == ("prometheus", "a", "hookgate")
    assert rendered.one("Service")["metadata"]["labels"]["release"] == "ours"


def test_the_autoscaler_goes_by_cpu_and_by_decisions_under_way(chart: Chart) -> None:
    assert chart.rendered(file("default")).all("HorizontalPodAutoscaler") == []
    assert chart.rendered(file("default")).workload()["spec"]["replicas"] == 2
    rendered = chart.rendered(file("identity"))
    spec = rendered.one("HorizontalPodAutoscaler")["spec"]
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "hookgate"}
    cpu, in_flight = spec["metrics"]
    assert cpu["resource"]["target"]["averageUtilization"] == 70
    assert in_flight["pods"]["metric"]["name"] == "hookgate_in_flight"
    assert in_flight["pods"]["target"]["averageValue"] == "64"
    assert "replicas" not in rendered.workload()["spec"]


def test_the_names_that_clients_use_are_taken_and_no_others(chart: Chart) -> None:
    hosts = chart.rendered(file("hardened")).settings()["server"]["allowed_hosts"]
    own = ["hookgate", "hookgate.agents", "hookgate.agents.svc", "hookgate.agents.svc.cluster.local"]
    assert hosts == [*own, "10.96.7.7", "hooks.example.com", "203.0.113.7"]
    certificate = chart.rendered(file("hardened")).one("Certificate", "hookgate-tls")["spec"]
    assert certificate["dnsNames"] == [*own[2:], "hooks.example.com"]
    assert certificate["ipAddresses"] == ["203.0.113.7", "10.96.7.7"]
    assert certificate["secretName"] == "hookgate-tls"
    service = chart.rendered(file("hardened")).one("Service")["spec"]
    assert (service["type"], service["clusterIP"]) == ("LoadBalancer", "10.96.7.7")
    assert (service["externalTrafficPolicy"], service["loadBalancerSourceRanges"]) == ("Local", ["198.51.100.0/24"])


def test_the_notes_give_a_hook_url_only_where_a_client_takes_it(chart: Chart) -> None:
    default = chart.rendered(file("default")).notes
    # Every name that the cluster's DNS gives leads to a private address, which the client refuses.
    assert "none that a client takes yet" in default
    assert not re.search(r"https?://hookgate\.agents", default)
    assert "--set service.clusterIP=" in default
    hardened = chart.rendered(file("hardened")).notes
    assert re.findall(r"^  (https://\S+)$", hardened, re.MULTILINE) == [
        "https://hooks.example.com:3594/ext/claude",
        "https://203.0.113.7:3594/ext/claude",
        "https://10.96.7.7:3594/ext/claude",
    ]
    assert "plain HTTP" in default
    assert "plain HTTP" not in hardened
    v6 = chart.rendered(changes={"hosts": ["2001:db8::7"]}).notes
    assert "  http://[2001:db8::7]:3594/ext/claude\n" in v6


def test_the_notes_settings_are_json_that_blocks_on_failure(chart: Chart) -> None:
    line = next(one for one in chart.rendered(file("hardened")).notes.splitlines() if one.startswith('  {"hooks"'))
    (entry,) = yaml.safe_load(line)["hooks"]["PreToolUse"]
    (hook,) = entry["hooks"]
    assert (entry["matcher"], hook["onFailure"], hook["url"]) == (
        "*",
        "block",
        "https://hooks.example.com:3594/ext/claude",
    )
    assert hook["allowedEnvVars"] == ["USER"]


def test_the_notes_say_how_to_try_it_and_hold_the_sidecars_containers(chart: Chart) -> None:
    assert "helm test hookgate --namespace agents --logs" in chart.rendered(file("default")).notes
    rendered = chart.rendered(file("sidecar"))
    text = rendered.notes
    assert "http://127.0.0.1:3594/ext/claude" in text
    shown = text.partition("Containers and volumes:\n")[2].partition("The agent's container")[0]
    pod = yaml.safe_load(rendered.one("ConfigMap", "hookgate-sidecar")["data"]["pod.yaml"])
    assert yaml.safe_load(shown) == pod


def test_rules_and_dashboard_are_those_of_deploy(chart: Chart) -> None:
    rendered = chart.rendered(file("monitoring"))
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yaml").read_text())
    assert rendered.one("PrometheusRule")["spec"] == rules
    dashboard = rendered.one("ConfigMap", "hookgate-dashboard")
    assert dashboard["data"]["hookgate.json"] == (ROOT / "deploy" / "grafana" / "hookgate.json").read_text()
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert dashboard["metadata"]["annotations"] == {"grafana_folder": "Agents"}
    fleet = yaml.safe_load((ROOT / "deploy" / "prometheus" / "fleet-rules.yaml").read_text())
    collecting = chart.rendered(file("collector"))
    # Where nothing decides, nobody waits for decisions.
    assert [one["spec"] for one in collecting.all("PrometheusRule")] == [fleet]
    assert [one["spec"] for one in chart.rendered(file("fleet")).all("PrometheusRule")] in (
        [rules, fleet],
        [fleet, rules],
    )


def test_scrapes_have_the_names_of_jobs_that_the_rules_go_by(chart: Chart) -> None:
    monitor = chart.rendered(file("monitoring")).one("ServiceMonitor")
    jobs = {one["port"]: _job(one) for one in monitor["spec"]["endpoints"]}
    assert jobs == {"admin": "hookgate", "ship": "hookgate-ship", "pdp-http": "cerbos"}
    paths = {one["port"]: one["path"] for one in monitor["spec"]["endpoints"]}
    assert paths == {"admin": "/metrics", "ship": "/metrics", "pdp-http": "/_cerbos/metrics"}


def _job(endpoint: Manifest) -> str:
    (relabeling,) = endpoint["relabelings"]
    assert relabeling["targetLabel"] == "job"
    return str(relabeling["replacement"])


def test_the_cluster_can_be_the_issuer_beside_static_tokens(chart: Chart) -> None:
    sources = chart.rendered(file("identity")).settings()["identity"]["sources"]
    assert [one["type"] for one in sources] == ["jwt", "token", "headers", "default"]
    (issuer,) = sources[0]["issuers"]
    assert issuer["audiences"] == ["hookgate"]
    assert issuer["token_file"].startswith("/var/run/hookgate/api/")
    assert chart.rendered(file("identity")).settings()["identity"]["directory"]["file"].endswith("/users.yaml")


def test_the_hub_has_no_tool_input(chart: Chart) -> None:
    audit = chart.rendered(file("hub")).pdp()["audit"]
    source = yaml.safe_load((ROOT / "deploy" / "cerbos" / "hub.yaml").read_text())["audit"]
    assert audit["backend"] == "hub"
    assert audit["hub"]["mask"] == source["hub"]["mask"]
    assert "inputs[*].resource.attr" in audit["hub"]["mask"]["checkResources"]
    quiet = chart.rendered(file("hub"), {"policies.hub.audit": False}).pdp()
    assert quiet["audit"] == {"enabled": False}


def test_the_pdp_is_strict_silent_and_as_deploy_has_it(chart: Chart) -> None:
    for name, source in (("default", "disk"), ("git", "git"), ("blob", "blob"), ("hub", "hub")):
        tree = chart.rendered(file(name)).pdp()
        wanted = yaml.safe_load((ROOT / "deploy" / "cerbos" / f"{source}.yaml").read_text())
        assert tree["engine"] == wanted["engine"] == {"strictEvaluation": True}
        assert tree["telemetry"] == {"disabled": True}
        for section in ("advanced", "udsFileMode"):
            assert tree["server"][section] == wanted["server"][section]
        limit = tree["server"]["advanced"]["grpc"]["maxRecvMsgSizeBytes"]
        assert limit == parse({"pdp": {"address": "unix:/x"}}, {}).pdp.max_request_bytes
    large = chart.rendered(changes={"config": {"pdp": {"max_request_bytes": 8388608}}}).pdp()
    assert large["server"]["advanced"]["grpc"]["maxRecvMsgSizeBytes"] == 8388608
