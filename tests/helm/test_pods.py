"""What the pods of each kind of set-up are: who runs in them, what they mount, how they begin and end."""

import json
import posixpath
import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.docs.tables import MANAGED_SETTINGS, ROOT
from tests.helm.chart import CI, Chart, Manifest, Rendered, containers
from tests.helm.values import CHART, VALUES
from tests.support.fetched import wanted

FOREIGN = {"first", "beside", "agent"}


def own(pod: Manifest) -> dict[str, Manifest]:
    """Gives the containers that the chart makes."""
    return {name: one for name, one in containers(pod).items() if name not in FOREIGN}


def file(name: str) -> Any:
    """Gives a file of values."""
    return CHART / "ci" / f"{name}-values.yaml"


def test_every_container_is_restricted(rendered: Rendered) -> None:
    for pod in rendered.pods():
        for name, one in own(pod).items():
            context = one["securityContext"]
            assert (context["runAsNonRoot"], context["runAsUser"] > 0, context["runAsGroup"]) == (True, True, 10001), (
                name
            )
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}
            assert set(one["resources"]) == {"requests", "limits"}, name
        for key in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
            assert not pod.get(key)


def test_the_pdp_and_the_service_are_different_users(rendered: Rendered) -> None:
    for pod in rendered.pods():
        users = {name: one["securityContext"]["runAsUser"] for name, one in own(pod).items()}
        if "hookgate-pdp" in users:
            assert users["hookgate"] == 10001
            assert {users["hookgate-prepare"], users["hookgate-pdp"]} == {10002}


def test_nobody_has_a_token_of_the_cluster_but_where_it_is_the_issuer(chart: Chart) -> None:
    for name in CI:
        rendered = chart.rendered(name)
        for account in rendered.all("ServiceAccount"):
            assert account["automountServiceAccountToken"] is False
        for pod in [one for one in rendered.pods() if not any(c["name"] == "agent" for c in one["containers"])]:
            assert pod["automountServiceAccountToken"] is False
        for pod in rendered.pods():
            tokens = [
                source["serviceAccountToken"]
                for volume in pod.get("volumes", [])
                for source in volume.get("projected", {}).get("sources", [])
                if "serviceAccountToken" in source
            ]
            is_issuer = "identity" in name.name and "serviceAccountName" in pod
            assert bool(tokens) == is_issuer
            for token in tokens:
                assert token["audience"] == "https://kubernetes.default.svc.cluster.local"
                assert token["expirationSeconds"] == 3600


def test_what_is_mounted_is_there_and_what_is_there_is_mounted(rendered: Rendered) -> None:
    claims = {
        one["metadata"]["name"]
        for each in rendered.all("StatefulSet")
        for one in each["spec"].get("volumeClaimTemplates", [])
    }
    for pod in rendered.pods():
        volumes = {one["name"] for one in pod.get("volumes", [])} | (claims if "hookgate" in containers(pod) else set())
        mounted = {mount["name"] for one in containers(pod).values() for mount in one.get("volumeMounts", [])}
        assert mounted == volumes
        for one in containers(pod).values():
            paths = [mount["mountPath"] for mount in one.get("volumeMounts", [])]
            assert len(paths) == len(set(paths))
            for name in one.get("volumeMounts", []):
                kind: Manifest = next((v for v in pod["volumes"] if v["name"] == name["name"]), {})
                # What is given is not to be written: only what is empty, or a claim.
                assert name.get("readOnly", False) == ({"configMap", "secret", "projected"} & set(kind) != set())


def test_config_maps_and_secrets_that_are_mounted_are_made_or_named(rendered: Rendered) -> None:
    made = {one["metadata"]["name"] for kind in ("ConfigMap", "Secret") for one in rendered.all(kind)}
    given = {
        "pdp-ca",
        "pdp-client",
        "git-key",
        "people-ca",
        "hookgate-tls",
        "helm-test-client",
        "hooks-tls",
        "tokens",
        "users",
        "codes",
        "collector-ca",
        "collector-tls",
        "hookgate-collector-tls",
        "inventory",
        "laptops-ca",
        "pages-tls",
    }
    for pod in rendered.pods():
        for volume in pod.get("volumes", []):
            name = volume.get("configMap", {}).get("name") or volume.get("secret", {}).get("secretName")
            assert name is None or name in made | given, volume
            for item in volume.get("configMap", {}).get("items", []):
                assert item["key"] in rendered.one("ConfigMap", name)["data"]


def test_the_pair_meets_on_a_socket_in_a_directory_that_is_the_pdps_alone(rendered: Rendered) -> None:
    for pod in rendered.pods():
        found = own(pod)
        if "hookgate-pdp" not in found:
            continue
        settings = rendered.settings("hookgate-sidecar-config" if "agent" in containers(pod) else "hookgate-config")
        address = settings["pdp"]["address"]
        assert address == rendered.pdp()["server"]["grpcListenAddr"] == "unix:/run/cerbos/pdp/pdp.sock"
        directory = posixpath.dirname(address.removeprefix("unix:"))
        # An emptyDir can be written by all: this one is made beneath it, before anybody else runs.
        first = next(name for name in found if name != "first")
        assert first == "hookgate-prepare"
        assert directory in found[first]["command"]
        assert "0o750" in found[first]["command"][3]
        for name in ("hookgate-prepare", "hookgate-pdp", "hookgate"):
            mounts = {mount["mountPath"]: mount["name"] for mount in found[name]["volumeMounts"]}
            assert mounts[posixpath.dirname(directory)] == "hookgate-run"


def test_the_agent_reaches_nothing_of_the_sidecars(chart: Chart) -> None:
    pod = chart.rendered(file("sidecar")).sidecar()
    agent = containers(pod)["agent"]
    # Its hooks, where it can't change them.
    assert [one["name"] for one in agent["volumeMounts"]] == ["hookgate-managed-settings"]
    assert agent["volumeMounts"][0]["readOnly"] is True
    assert "hookgate-managed-settings" not in str([one["volumeMounts"] for one in own(pod).values()])
    assert "shareProcessNamespace" not in pod
    for name, one in own(pod).items():
        is_once = name == "hookgate-prepare"
        # Native sidecars: there before the agent, and after it.
        assert one.get("restartPolicy") == (None if is_once else "Always")
    settings = chart.rendered(file("sidecar")).settings("hookgate-sidecar-config")
    assert settings["server"]["host"] == "127.0.0.1"


def test_the_admin_api_is_on_a_socket_with_a_password_that_is_no_default(rendered: Rendered) -> None:
    if not any(one["metadata"]["name"] == "hookgate-pdp" for one in rendered.all("ConfigMap")):
        return
    server = rendered.pdp()["server"]
    assert server["grpcListenAddr"].startswith("unix:")
    if server["adminAPI"]["enabled"]:
        assert server["httpListenAddr"].startswith("unix:")
        assert server["adminAPI"]["adminCredentials"] == {
            "username": "${CERBOS_ADMIN_USERNAME}",
            "passwordHash": "${CERBOS_ADMIN_PASSWORD_HASH}",
        }
    for pod in rendered.pods():
        for name, one in own(pod).items():
            for variable in one.get("env", []):
                if variable["name"].startswith("CERBOS_ADMIN"):
                    assert set(variable["valueFrom"]) == {"secretKeyRef"}
                    assert name in ("hookgate-pdp", "hookgate-reload")


def test_the_password_is_made_anew_for_each_release_and_its_hash_is_of_it(chart: Chart) -> None:
    secrets = [
        chart.rendered(file("default")).one("Secret", "hookgate-pdp-admin")["data"],
        chart.rendered(changes={"replicas": 3}).one("Secret", "hookgate-pdp-admin")["data"],
    ]
    assert secrets[0]["password"] != secrets[1]["password"]
    assert len(secrets[0]["password"]) > 50


def test_probes_ask_the_admin_listener_and_the_shipping_process(rendered: Rendered) -> None:
    for pod in rendered.pods():
        found = own(pod)
        if "hookgate" not in found:
            continue
        probes = {kind: found["hookgate"][f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
        assert {kind: probe["path"] for kind, probe in probes.items()} == {
            # The agent begins when its hooks are answered.
            "startup": "/readyz" if "agent" in containers(pod) else "/livez",
            "liveness": "/livez",
            "readiness": "/readyz",
        }
        ports = {port["containerPort"] for port in found["hookgate"]["ports"]}
        assert {probe["port"] for probe in probes.values()} == {9464} <= ports
        if "hookgate-ship" in found:
            assert found["hookgate-ship"]["livenessProbe"]["httpGet"]["path"] == "/livez"


def test_a_pod_that_ends_has_time_for_all_that_is_under_way(chart: Chart) -> None:
    for changes, seconds in (({}, 25), ({"preStopSeconds": 20, "config": {"server": {"grace_seconds": 33.5}}}, 64)):
        pod = chart.rendered(changes=changes).gateway()
        settings = chart.rendered(changes=changes).settings()
        stop = containers(pod)["hookgate"]["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert stop > settings.get("decision", {}).get("deadline_seconds", 2)
        assert pod["terminationGracePeriodSeconds"] == seconds > stop + settings["server"].get("grace_seconds", 10)


def test_the_shipping_process_is_one_of_two_and_never_both(chart: Chart) -> None:
    rendered = chart.rendered(file("postgres"))
    assert rendered.settings()["audit"]["supervise"] is False
    ship, serve = (containers(rendered.gateway())[name] for name in ("hookgate-ship", "hookgate"))
    assert ship["volumeMounts"] == serve["volumeMounts"]
    assert ship["securityContext"] == serve["securityContext"]
    # Its sinks' secrets are known to it.
    assert {"HOOKGATE_STORE_URL", "SPLUNK_TOKEN"} <= {one["name"] for one in ship["env"]}
    # It ends after the service, and so has what came last.
    assert ship["restartPolicy"] == "Always"
    default = chart.rendered(file("default"))
    assert "supervise" not in default.settings()["audit"]
    assert "hookgate-ship" not in containers(default.gateway())


def test_collectors_share_nothing_but_the_store_and_end_when_all_is_answered(chart: Chart) -> None:
    rendered = chart.rendered(file("collector"))
    pod, settings = rendered.collector(), rendered.settings("hookgate-collector-config")
    assert [one for one in pod["volumes"] if not {"configMap", "secret"} & set(one)] == [
        {"name": "tmp", "emptyDir": {}}
    ]
    (one,) = pod["containers"]
    assert one["command"][:2] == ["hookgate", "collect"]
    assert one["lifecycle"]["preStop"]["sleep"]["seconds"] + 10 < pod["terminationGracePeriodSeconds"]
    ports = {port["name"]: port["containerPort"] for port in one["ports"]}
    assert ports == {"records": settings["collect"]["port"], "admin": settings["admin"]["port"]}
    probes = {kind: one[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    assert probes == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
    assert len(pod["topologySpreadConstraints"]) == 2
    assert (
        rendered.one("HorizontalPodAutoscaler", "hookgate-collector")["spec"]["scaleTargetRef"]["name"]
        == "hookgate-collector"
    )
    for each in (pod, rendered.console()):
        mounts = [mount["mountPath"] for mount in each["containers"][0]["volumeMounts"]]
        name = "hookgate-collector-config" if each is pod else "hookgate-console-config"
        for path in _paths(rendered.settings(name)):
            assert any(path.startswith(f"{mount}/") for mount in mounts), path
    # Both know which machines there should be.
    assert rendered.settings("hookgate-console-config")["console"]["expected"] == settings["collect"]["expected"]
    # The pages need no more than to read.
    stores = [each["containers"][0]["env"][0] for each in (pod, rendered.console())]
    assert [store["name"] for store in stores] == ["HOOKGATE_STORE"] * 2
    assert [store["valueFrom"]["secretKeyRef"]["name"] for store in stores] == ["fleet-store", "fleet-reader"]


def test_a_collector_alone_brings_nothing_that_decides(chart: Chart) -> None:
    rendered = chart.rendered(file("collector"))
    assert {one["metadata"]["name"] for one in rendered.workloads()} == {"hookgate-collector", "hookgate-console"}
    assert rendered.all("Secret") == []
    assert [one["metadata"]["name"] for one in rendered.tests] == ["hookgate-collector-test"]
    assert {one["metadata"]["name"] for one in rendered.all("ConfigMap")} == {
        "hookgate-collector-config",
        "hookgate-console-config",
    }
    assert "Hook URL" not in rendered.notes
    # And without one, nothing of it is there.
    default = chart.rendered(file("default"))
    assert [one for one in default.objects if "collector" in str(one["metadata"])] == []


def test_each_replica_has_a_volume_that_stays(chart: Chart) -> None:
    spec = chart.rendered(file("default")).workload()["spec"]
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["resources"] == {"requests": {"storage": "10Gi"}}
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenScaled": "Retain", "whenDeleted": "Retain"}
    mounts = {one["name"]: one["mountPath"] for one in containers(spec["template"]["spec"])["hookgate"]["volumeMounts"]}
    journal = chart.rendered(file("default")).settings()["audit"]["directory"]
    assert posixpath.dirname(journal) == mounts[claim["metadata"]["name"]]
    assert spec["template"]["spec"]["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"


def test_what_the_configuration_names_is_mounted_where_it_says(rendered: Rendered) -> None:
    for pod in rendered.pods():
        if "hookgate" not in own(pod):
            continue
        settings = rendered.settings("hookgate-sidecar-config" if "agent" in containers(pod) else "hookgate-config")
        mounts = [mount["mountPath"] for mount in own(pod)["hookgate"]["volumeMounts"]]
        for path in _paths(settings):
            assert any(path.startswith(f"{mount}/") for mount in mounts), path


def _paths(tree: Any, key: str = "") -> list[str]:
    if isinstance(tree, dict):
        return [path for name, one in tree.items() if name not in ("payload", "path") for path in _paths(one, name)]
    if isinstance(tree, list):
        return [path for one in tree for path in _paths(one, key)]
    return [tree.removeprefix("unix:")] if isinstance(tree, str) and tree.removeprefix("unix:").startswith("/") else []


def test_a_changed_setting_rolls_the_pods_and_a_changed_policy_does_not(chart: Chart) -> None:
    def marks(changes: dict[str, Any]) -> dict[str, str]:
        found: dict[str, str] = chart.rendered(changes=changes).workload()["spec"]["template"]["metadata"][
            "annotations"
        ]
        return {name: text for name, text in found.items() if name.startswith("checksum/")}

    plain = marks({})
    assert set(plain) == {"checksum/config", "checksum/pdp"}
    assert marks({"config": {"log": {"level": "debug"}}})["checksum/config"] != plain["checksum/config"]
    assert marks({"pdp.config": {"engine": {"lenientScopeSearch": True}}})["checksum/pdp"] != plain["checksum/pdp"]
    policies = {
        "policies.files": {"a.yaml": "a"},
        "config": {"canary": {"required": True}, "pdp": {"required_kinds": ["PreToolUse"]}},
    }
    assert marks(policies)["checksum/pdp"] == plain["checksum/pdp"]
    # Without somebody to tell the PDP, they do.
    assert "checksum/policies" in marks({"policies.reload.enabled": False})


def test_images_are_named_by_digest_where_one_is_given(chart: Chart) -> None:
    images = {name: one["image"] for name, one in containers(chart.rendered(file("hardened")).gateway()).items()}
    assert (
        images["hookgate"]
        == images["hookgate-reload"]
        == "registry.example.com/hookgate@sha256:" + "0123456789abcdef" * 4
    )
    assert images["hookgate-pdp"].startswith("ghcr.io/cerbos/cerbos@sha256:")
    assert chart.rendered(file("hardened")).gateway()["imagePullSecrets"] == [{"name": "registry"}]


def test_what_is_of_ones_own_is_where_it_belongs(chart: Chart) -> None:
    rendered = chart.rendered(file("identity"))
    pod = rendered.gateway()
    assert next(iter(containers(pod))) == "first"
    assert [one["name"] for one in pod["containers"]] == ["hookgate", "beside"]
    assert {"name": "more", "mountPath": "/more"} in containers(pod)["hookgate"]["volumeMounts"]
    assert containers(pod)["hookgate"]["envFrom"] == [{"configMapRef": {"name": "proxies"}}]
    assert {"hookgate-more", "hookgate-text"} <= {one["metadata"]["name"] for one in rendered.all("ConfigMap")}
    hardened = chart.rendered(file("hardened"))
    for one in hardened.objects:
        assert one["metadata"]["labels"]["team"] == "security"
        assert one["metadata"]["annotations"]["owner"] == "security@example.com"
    template = hardened.workload()["spec"]["template"]["metadata"]
    assert template["labels"]["tier"] == "control"
    assert template["annotations"]["example.com/backup"] == "yes"
    assert hardened.gateway()["priorityClassName"] == "system-cluster-critical"
    assert hardened.gateway()["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert hardened.gateway()["tolerations"][0]["key"] == "control"


def test_replicas_keep_apart(chart: Chart) -> None:
    for name, rule, unsatisfiable in (
        ("default", "preferredDuringSchedulingIgnoredDuringExecution", "ScheduleAnyway"),
        ("hardened", "requiredDuringSchedulingIgnoredDuringExecution", "DoNotSchedule"),
    ):
        pod = chart.rendered(file(name)).gateway()
        assert list(pod["affinity"]["podAntiAffinity"]) == [rule]
        assert [one["topologyKey"] for one in pod["topologySpreadConstraints"]] == [
            "topology.kubernetes.io/zone",
            "kubernetes.io/hostname",
        ]
        assert {one["whenUnsatisfiable"] for one in pod["topologySpreadConstraints"]} == {unsatisfiable}


def test_no_secret_stands_in_a_manifest_but_in_a_secret(rendered: Rendered) -> None:
    secrets = [value for one in rendered.all("Secret") for value in one["data"].values() if len(value) > 30]
    others = str([one for one in (*rendered.objects, *rendered.tests) if one["kind"] != "Secret"])
    assert [one for one in secrets if one in others] == []
    for pod in rendered.pods():
        for one in own(pod).values():
            for variable in one.get("env", []):
                if any(word in variable["name"] for word in ("PASSWORD", "SECRET", "TOKEN", "STORE_URL")):
                    assert set(variable["valueFrom"]) == {"secretKeyRef"}


def test_the_sidecars_settings_are_the_managed_ones_with_its_url(chart: Chart) -> None:
    store = {"store.type": "postgres", "store.postgres.existingSecret": "store", "sidecar.enabled": True}
    for changes, url in (
        ({}, "http://127.0.0.1:3594/ext/claude"),
        ({"config": {"server": {"port": 4000, "path": "/hooks"}}}, "http://127.0.0.1:4000/hooks"),
    ):
        rendered = chart.rendered(changes={"kind": "None", **store, **changes})
        text = rendered.one("ConfigMap", "hookgate-managed-settings")["data"]["managed-settings.json"]
        shipped = MANAGED_SETTINGS.read_text(encoding="utf-8").replace("http://127.0.0.1:3594/ext/claude", url)
        assert json.loads(text) == json.loads(shipped)
        assert set(re.findall(r"http://127[^\"]*", text)) == {url}


def test_a_repository_by_ssh_is_known_by_its_key(chart: Chart) -> None:
    pod = chart.rendered(file("git-ssh")).gateway()
    pdp = containers(pod)["hookgate-pdp"]
    (mount,) = [one["mountPath"] for one in pdp["volumeMounts"] if one["name"] == "hookgate-git"]
    assert {"name": "SSH_KNOWN_HOSTS", "value": f"{mount}/known_hosts"} in pdp["env"]
    assert chart.rendered(file("git-ssh")).pdp()["storage"]["git"]["ssh"]["privateKeyFile"] == f"{mount}/ssh-privatekey"


def test_image_and_chart_agree_on_users_and_programs() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    security = yaml.safe_load(VALUES.read_text(encoding="utf-8"))["security"]
    assert f"USER {security['hookgateUser']}:{security['group']}\n" in text
    # `hookgate` and `python3` are found on PATH, where the containers' commands look.
    assert "ENV PATH=/opt/hookgate/bin:" in text
    assert "/opt/hookgate/bin/hookgate version" in text
    kustomized = (ROOT / "deploy" / "kubernetes" / "base" / "pod.yaml").read_text(encoding="utf-8")
    for name in ("hookgateUser", "pdpUser"):
        assert f"runAsUser: {security[name]}\n" in kustomized
    assert f"runAsGroup: {security['group']}\n" in kustomized


def test_an_upgrade_of_the_chart_goes_on_with_the_volumes_that_are_there(chart: Chart, tmp_path: Path) -> None:
    """What a StatefulSet holds for good (all but replicas, template, strategies and retention) depends on no version, label or setting."""
    newer = tmp_path / "hookgate"
    shutil.copytree(CHART, newer)
    text = (newer / "Chart.yaml").read_text()
    (newer / "Chart.yaml").write_text(re.sub(r"(?m)^(version|appVersion): .*$", r'\1: "9.9.9"', text))
    changes = {
        "commonLabels": {"team": "a"}, "commonAnnotations": {"a": "b"}, "podLabels": {"c": "d"}, "replicas": 5,
        "config": {"mode": "observe"}, "shipping.ownContainer": True, "image.tag": "9.9.9",
    }  # fmt: skip
    old, new = chart.rendered().workload(), Chart(wanted("helm"), newer).rendered(changes=changes).workload()
    assert old["metadata"]["labels"]["helm.sh/chart"] != new["metadata"]["labels"]["helm.sh/chart"]
    for key in ("selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates"):
        assert old["spec"][key] == new["spec"][key], key
    assert old["metadata"]["name"] == new["metadata"]["name"]
