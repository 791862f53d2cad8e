"""Traces of decisions, at a real collector: what they hold, where they lead, and that nobody waits for them."""

import itertools
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.conftest import payload
from tests.integration.conftest import Serving
from tests.integration.running import run
from tests.integration.stand_in import DENY, StandInPdp, says
from tests.support.collectors import Collector, Trouble
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess
from tests.support.wait import free_port, until

SECRET = "token-for-the-collector-never-told"
STEPS = {"identity", "read", "facts", "pdp", "journal"}
CALLERS = "4bf92f3577b34da6a3ce929d0e0e4736"
Make = Callable[..., ServiceProcess]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    collector = Collector(tmp_path_factory.mktemp("traces")).start()
    yield collector
    collector.kill()


@pytest.fixture
def collector(server: Collector) -> Collector:
    server.forget()
    return server


@pytest.fixture
def make(stand_in: StandInPdp) -> Iterator[Make]:
    """`make(url, **settings)`: a Hookgate that sends its traces there."""
    made: list[ServiceProcess] = []

    def start(url: str | None, **settings: Any) -> ServiceProcess:
        traces = {"url": url, "headers": {"Authorization": SECRET}, "timeout_seconds": 1.0, **settings}
        made.append(ServiceProcess(stand_in.address, {"traces": traces}))
        return made[-1].start()

    yield start
    for service in made:
        service.remove()


@pytest.fixture(scope="module", name="shared")
def service_that_nobody_stops(serving: Serving, stand_in_server: StandInPdp, server: Collector) -> ServiceProcess:
    return serving(
        stand_in_server.address, {"traces": {"url": server.url("/v1/traces"), "headers": {"Authorization": SECRET}}}
    )


def ask(service: ServiceProcess, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """Has one call judged; gives its record."""
    session = str(uuid.uuid4())
    service.post(payload("PreToolUse.Bash", session_id=session), headers)
    (record,) = [record for record in service.records() if record["session_id"] == session]
    return record


def is_sampled(traceparent: str) -> bool:
    """Whether the first of a trace context's flags is set (W3C Trace Context, 3.2.2.5)."""
    return bool(int(traceparent.rpartition("-")[2], 16) & 1)


def trace(collector: Collector, record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Gives the spans of one decision by their names, once the collector has them."""

    def found() -> dict[str, dict[str, Any]]:
        spans = [one["document"] for one in collector.records]
        roots = [span for span in spans if span["attributes"].get("hookgate.decision.id") == record["id"]]
        return {span["name"]: span for root in roots for span in spans if span["traceId"] == root["traceId"]}

    until(found, seconds=30, what="the trace of a decision")
    return found()


class TestTrace:
    def test_has_a_span_for_each_step_and_tells_what_became_of_the_decision(
        self, shared: ServiceProcess, collector: Collector, stand_in: StandInPdp
    ) -> None:
        stand_in.behaviour = says(DENY)
        record = ask(shared)
        spans = trace(collector, record)
        root = spans.pop("decide")
        assert set(spans) == STEPS
        assert {span["parentSpanId"] for span in spans.values()} == {root["spanId"]}
        assert root["parentSpanId"] == ""
        assert root["attributes"] == {
            "hookgate.decision.id": record["id"],
            "hookgate.event": "PreToolUse",
            "gen_ai.tool.name": "Bash",
            "hookgate.outcome": "deny",
            "hookgate.mode": "enforce",
            "hookgate.policy": record["policy"],
            "hookgate.identity.source": record["source"],
        }
        assert root["resource"]["service.name"] == "hookgate"
        assert root["resource"]["service.instance.id"] == record["instance"]
        for span in spans.values():
            assert int(root["startTimeUnixNano"]) <= int(span["startTimeUnixNano"])
            assert int(span["endTimeUnixNano"]) <= int(root["endTimeUnixNano"])

    def test_is_handed_to_the_pdp(self, shared: ServiceProcess, collector: Collector, stand_in: StandInPdp) -> None:
        pdp = trace(collector, ask(shared))["pdp"]
        (told,) = stand_in.traceparents
        assert told.startswith(f"00-{pdp['traceId']}-{pdp['spanId']}-")
        assert is_sampled(told)

    def test_holds_no_input_and_no_user(self, shared: ServiceProcess, collector: Collector) -> None:
        record = ask(shared, {"X-Claude-User": "somebody-by-name"})
        trace(collector, record)
        told = json.dumps([one["document"] for one in collector.records])
        assert record["user"] == "somebody-by-name"
        for private in (record["user"], record["input"]["command"], record["session_id"], record["cwd"]):
            assert private not in told

    def test_names_the_error_and_the_step_that_failed_without_a_message(
        self, shared: ServiceProcess, collector: Collector, stand_in: StandInPdp
    ) -> None:
        def refuse(_: Any, context: grpc.ServicerContext) -> bytes:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "said-by-the-pdp")

        stand_in.behaviour = refuse
        spans = trace(collector, ask(shared))
        for name in ("decide", "pdp"):
            assert spans[name]["attributes"]["error.type"] == "pdp_refused"
            assert spans[name]["status"] == {"code": "STATUS_CODE_ERROR"}
        assert "said-by-the-pdp" not in json.dumps(spans)

    def test_of_a_caller_is_linked_and_not_joined(
        self, shared: ServiceProcess, collector: Collector, stand_in: StandInPdp
    ) -> None:
        # Not sampled by its caller: that would be a way out of the traces.
        root = trace(collector, ask(shared, {"traceparent": f"00-{CALLERS}-00f067aa0ba902b7-00"}))["decide"]
        assert root["links"] == [CALLERS]
        assert root["traceId"] != CALLERS
        assert CALLERS not in stand_in.traceparents[0]
        broken = trace(collector, ask(shared, {"traceparent": "00-" + "x" * 500}))["decide"]
        assert broken["links"] == []

    def test_that_is_not_sampled_is_not_sent_and_says_so_to_the_pdp(
        self, make: Make, collector: Collector, stand_in: StandInPdp
    ) -> None:
        service = make(collector.url("/v1/traces"), sample_ratio=0)
        ask(service)
        assert not is_sampled(stand_in.traceparents[0])
        assert service.stop() == 0
        assert collector.records == []

    def test_is_not_there_when_it_is_off(self, make: Make, stand_in: StandInPdp) -> None:
        ask(make(None))
        assert stand_in.traceparents == [""]


class TestRealPdp:
    def test_adds_its_own_spans_to_the_trace(self, cerbos: Path, allowing: Path, collector: Collector) -> None:
        variables = {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector.url("/v1/traces"),
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            # As Hookgate decided for each trace, and nothing that is in none.
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        pdp = Pdp(allowing, variables=variables).start()
        service = ServiceProcess(pdp.address, {"traces": {"url": collector.url("/v1/traces")}})
        try:
            asking = trace(collector, ask(service.start()))["pdp"]

            def of_cerbos() -> list[dict[str, Any]]:
                spans = [one["document"] for one in collector.records]
                return [span for span in spans if span["resource"]["service.name"] != "hookgate"]

            until(lambda: asking["spanId"] in {span["parentSpanId"] for span in of_cerbos()}, seconds=30)
            assert {span["traceId"] for span in of_cerbos()} == {asking["traceId"]}
        finally:
            service.remove()
            pdp.stop()


class TestCollector:
    def test_that_hangs_delays_neither_a_decision_nor_the_end(self, make: Make, collector: Collector) -> None:
        service = make(collector.url("/v1/traces"))
        collector.freeze()
        try:
            records = [ask(service) for _ in range(5)]
            until(lambda: service.metric("hookgate_trace_spans_total", result="lost") >= 6, seconds=30)
            records += [ask(service) for _ in range(5)]
            assert {record["outcome"] for record in records} == {"allow"}
            # Far less than the collector would be waited for, batch by batch.
            assert max(record["total_seconds"] for record in records) < 1.0
            assert service.stop() == 0
        finally:
            collector.thaw()
        assert len(service.log_events("traces_lost")) == 1

    def test_that_is_down_is_told_once_and_again_when_it_takes_spans(self, make: Make, collector: Collector) -> None:
        service = make(collector.url("/v1/traces"))
        collector.meets(Trouble(status=400, body=SECRET), Trouble(status=403))
        lost = itertools.count(6, 6)
        for _ in range(2):
            assert ask(service)["outcome"] == "allow"
            least = next(lost)
            until(
                lambda least=least: service.metric("hookgate_trace_spans_total", result="lost") >= least,  # type: ignore[misc]
                seconds=30,
            )
        until(lambda: collector.met)
        trace(collector, ask(service))
        until(lambda: service.log_events("traces_sent"), seconds=30)
        assert len(service.log_events("traces_lost")) == 1
        assert service.log_events("library") == []
        assert SECRET not in service.log()

    def test_is_sent_what_waits_at_the_end(self, make: Make, collector: Collector) -> None:
        service = make(collector.url("/v1/traces"))
        record = ask(service)
        assert service.stop() == 0
        assert set(trace(collector, record)) == {"decide", *STEPS}

    def test_gets_its_headers_with_each_request(self, shared: ServiceProcess, collector: Collector) -> None:
        trace(collector, ask(shared))
        headers = collector.records[0]["headers"]
        assert {name.lower(): value for name, value in headers.items()}["authorization"] == SECRET


class TestExtra:
    def test_that_is_missing_is_a_fault_that_names_it(self, tmp_path: Path) -> None:
        configuration = tmp_path / "hookgate.yaml"
        configuration.write_text(
            f'{{pdp: {{address: "127.0.0.1:{free_port()}"}}, traces: {{url: "http://127.0.0.1/v1/traces"}}}}'
        )
        hidden = "import sys\nsys.modules['opentelemetry'] = None"
        done = run("serve", "--config", configuration, before=hidden)
        assert done.returncode != 0
        assert "traces.url: needs OpenTelemetry's SDK: pip install 'hookgate[traces]'" in done.stderr

    def test_whose_own_variables_are_wrong_is_a_fault(self, tmp_path: Path) -> None:
        configuration = tmp_path / "hookgate.yaml"
        settings = {
            "pdp": {"address": f"127.0.0.1:{free_port()}"},
            "server": {"port": 0},
            "admin": {"enabled": False},
            "audit": {"directory": str(tmp_path / "audit"), "shippers": []},
            "traces": {"url": "http://127.0.0.1/v1/traces"},
        }
        configuration.write_text(json.dumps(settings))
        done = run("serve", "--config", configuration, env={"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many"})
        assert done.returncode != 0
        assert "traces: OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" in done.stderr
        assert "Traceback" not in done.stderr

    def test_is_not_even_imported_where_traces_are_off(self) -> None:
        hidden = "import sys\nsys.modules['opentelemetry'] = sys.modules['requests'] = None"
        assert run("version", before=f"{hidden}\nimport hookgate.app.service").returncode == 0
