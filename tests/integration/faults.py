"""What a fault of the PDP must come to, whatever it is: an answer by `on_error`, a record, a log line and a metric of the same kind."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hookgate.errors import ErrorKind, Side
from tests.integration.conftest import Serving
from tests.integration.deciding import Decided, decide_by
from tests.support.service import ServiceProcess
from tests.support.wait import until

#: Short, so that faults that last as long as a decision may are soon over.
DEADLINE_SECONDS = 0.6
#: A decision is timed on a machine that runs other tests beside: what a process may have to wait for a processor.
WAIT_SECONDS = 0.5
ON_ERROR = ("deny", "ask", "pass")

Services = Mapping[str, ServiceProcess]


def by_on_error(serving: Serving, address: str, *, deadline_seconds: float = DEADLINE_SECONDS, **pdp: Any) -> Services:
    """Gives three services before one PDP, which differ in `on_error`."""
    settings = {"decision": {"deadline_seconds": deadline_seconds}, "pdp": pdp}
    with ThreadPoolExecutor(len(ON_ERROR)) as pool:
        made = pool.map(lambda on_error: serving(address, {**settings, "on_error": on_error}), ON_ERROR)
        return dict(zip(ON_ERROR, made, strict=True))


def expected_permission(kind: ErrorKind, on_error: str) -> str:
    """What PreToolUse is told: a fault of the caller's is never let through, one that load can bring about asks at least."""
    if kind.side is Side.CALLER:
        return "deny"
    if kind.side is Side.LOAD and on_error == "pass":
        return "ask"
    return "" if on_error == "pass" else on_error


def assert_fault(services: Services, kind: ErrorKind, body: Mapping[str, Any] | None = None) -> dict[str, Decided]:
    """Posts a hook to each service, and sees that the fault is answered, recorded, logged and counted as it should be."""
    before = {name: errors(one, kind) for name, one in services.items()}
    decided = decide_by(services, body)
    for name, one in decided.items():
        service = services[name]
        assert (one.record["outcome"], one.record["error"]) == ("error", kind.value), one.record["error_detail"]
        assert one.permission == expected_permission(kind, name)
        assert one.record["answer"] == one.answer
        if one.permission:
            assert f"Hookgate could not decide ({kind.value})" in one.reason
            assert one.record["id"] in one.reason
        else:
            assert one.answer == {}
        # Both come behind the answer.
        until(lambda one=one, service=service: logged(service, one) == [kind.value], what="the log line")  # type: ignore[misc]
        counted = before[name] + 1
        until(lambda service=service, counted=counted: errors(service, kind) == counted, what="the error to be counted")  # type: ignore[misc]
    return decided


def errors(service: ServiceProcess, kind: ErrorKind) -> float:
    """Gives how many errors of a kind a service has counted."""
    return service.metric("hookgate_errors_total", kind=kind.value)


def logged(service: ServiceProcess, decided: Decided) -> list[str]:
    """Gives the error kinds that the log names for a decision."""
    return [line["error"] for line in service.log_events("decision") if line["decision_id"] == decided.record["id"]]


def allowed(services: Services) -> bool:
    """Whether all of them let a harmless call through."""
    return all(one.record["outcome"] == "allow" for one in decide_by(services).values())
