"""The compose file: its schema, docker-compose's word, loopback only, and that what it mounts works together."""

import json
import re
from typing import Any

import jsonschema
import yaml

from hookgate.collect.server import exposed
from hookgate.config import load
from hookgate.config.collect import collect_parts
from hookgate.config.shippers import PostgresShipper
from tests.docs import tables
from tests.support.fetched import wanted

DEPLOY = tables.ROOT / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
#: What the head of the file asks for.
PASSWORDS = {"POSTGRES_PASSWORD": "p", "GRAFANA_PASSWORD": "g"}


def services() -> dict[str, dict[str, Any]]:
    """Gives the services, anchors filled in."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def test_it_is_what_the_compose_specification_says() -> None:
    schema = json.loads(wanted("compose-spec").path.read_text())
    jsonschema.validators.validator_for(schema)(schema).validate(yaml.safe_load(COMPOSE.read_text()))


def test_docker_compose_takes_it_with_the_passwords_and_not_without() -> None:
    program = wanted("docker-compose")
    program.environment.update(PASSWORDS)
    done = program.run("-f", COMPOSE, "config")
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == {
        "cerbos",
        "hookgate",
        "collector",
        "postgres",
        "prometheus",
        "grafana",
    }
    program.environment.update(dict.fromkeys(PASSWORDS, ""))
    done = program.run("-f", COMPOSE, "config")
    assert done.returncode != 0
    assert "see the head of this file" in done.stderr


def test_only_loopback_of_the_machine_reaches_it_and_never_the_pdp_or_the_records() -> None:
    ports = {name: one.get("ports", []) for name, one in services().items()}
    assert ports.pop("cerbos") == ports.pop("postgres") == []
    assert ports == {
        "hookgate": ["127.0.0.1:3594:3594"],
        "collector": ["127.0.0.1:3596:3596"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "grafana": ["127.0.0.1:3000:3000"],
    }
    networks = yaml.safe_load(COMPOSE.read_text())["networks"]
    assert [name for name, one in networks.items() if not one.get("internal")] == ["hooks"]
    assert services()["cerbos"]["networks"] == ["pdp-metrics"]
    assert [name for name, one in services().items() if "pdp-metrics" in one["networks"]] == ["cerbos", "prometheus"]


def test_every_container_is_hardened_and_no_password_is_written_down() -> None:
    for one in services().values():
        assert (one["read_only"], one["cap_drop"]) == (True, ["ALL"])
        assert one["security_opt"] == ["no-new-privileges:true"]
        assert not {"privileged", "pid", "cap_add"} & set(one)
        assert ":" in one["image"].rpartition("/")[2]
    users = [services()[name]["user"] for name in ("cerbos", "postgres")]
    assert not [name for name in ("hookgate", "collector") if "user" in services()[name]]  # the image's own
    assert len(set(users) | {"10001:10001"}) == 3
    values = re.findall(r"PASSWORD: (.*)", COMPOSE.read_text())
    assert len(values) == 4
    assert all(value.startswith("${") and ":?" in value for value in values)


def test_what_is_mounted_is_there_and_mounted_where_it_is_looked_for() -> None:
    volumes = set(yaml.safe_load(COMPOSE.read_text())["volumes"])
    for one in services().values():
        for mount in one.get("volumes", []):
            source = mount.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in volumes, mount
    tree = yaml.safe_load((DEPLOY / "compose" / "hookgate.yaml").read_text())
    socket = tree["pdp"]["address"].removeprefix("unix:")
    (mount,) = [one for one in services()["hookgate"]["volumes"] if one.startswith("pdp-socket:")]
    assert mount == f"pdp-socket:{socket.rpartition('/')[0]}:ro"
    assert services()["cerbos"]["environment"]["RUNTIME_DIRECTORY"] == socket.rpartition("/")[0]
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/hookgate.yaml").read_text())["providers"][0]
    assert f"./grafana/hookgate.json:{provider['options']['path']}/hookgate.json:ro" in services()["grafana"]["volumes"]


def test_hookgate_takes_its_configuration_and_listens_inside_its_container() -> None:
    config = load(DEPLOY / "compose" / "hookgate.yaml", PASSWORDS)
    assert (config.server.host, config.canary.required) == ("0.0.0.0", True)
    assert config.admin.allowed_hosts == ("hookgate",)


def test_the_collector_takes_its_configuration_and_is_asked_where_it_writes() -> None:
    config = load(DEPLOY / "compose" / "collect.yaml", PASSWORDS, needs_pdp=False)
    store, forwards = collect_parts(config.audit)
    assert isinstance(store, PostgresShipper)
    assert (forwards, exposed(config.collect)) == ((), False)
    one = services()["collector"]
    assert one["ports"] == [f"127.0.0.1:{config.collect.port}:{config.collect.port}"]
    assert f"./compose/collect.yaml:{one['command'][-1]}:ro" in one["volumes"]
    # Beside the gateway's own records, in a schema that `hookgate fleet` in the container looks into.
    assert one["environment"]["HOOKGATE_STORE"].endswith(f"/audit?search_path={store.schema}")
    assert store.schema != "hookgate"
    # As others see its metrics; the image's own health check asks there.
    assert (config.admin.host, config.admin.port) == ("0.0.0.0", 9464)


def test_prometheus_takes_its_configuration_and_its_jobs_are_those_that_the_rules_look_for() -> None:
    done = wanted("promtool").run("check", "config", DEPLOY / "prometheus" / "compose.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = yaml.safe_load((DEPLOY / "prometheus" / "compose.yaml").read_text())["scrape_configs"]
    assert {job["job_name"]: job["static_configs"][0]["targets"] for job in jobs} == {
        "hookgate": ["hookgate:9464"],
        "hookgate-collect": ["collector:9464"],
        "cerbos": ["cerbos:3592"],
    }
    command = services()["cerbos"]["command"]
    assert "--set=server.httpListenAddr=:3592" in command
