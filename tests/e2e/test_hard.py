"""What happens to calls when something goes wrong around them: large ones, odd ones, and parts that fail or restart meanwhile.

All of it without `onFailure`, so that a call which is not answered in the right form runs: what was to be denied and did
not run was denied by Hookgate.
"""

import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.client import Workspace
from tests.e2e.model import Call, Model, Turn, turn
from tests.e2e.settings import Settings, hook_settings
from tests.e2e.trail import assert_recorded_once, decisions
from tests.support.pdp import Pdp
from tests.support.service import ServiceProcess
from tests.support.wait import until

POLICIES = Path(__file__).parent / "policies"
FORBIDDEN = "That is forbidden."
LARGE_CHARACTERS = 2 * 1024 * 1024
EVENTS = ("PreToolUse", "PostToolUse")

MakePdp = Callable[..., Pdp]
MakeService = Callable[..., ServiceProcess]


@pytest.fixture(scope="module")
def pdp(cerbos: Path) -> Iterator[Pdp]:
    """A PDP with this folder's policies; not to be changed or stopped by a test."""
    running = Pdp(POLICIES).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def service(pdp: Pdp) -> Iterator[ServiceProcess]:
    running = ServiceProcess(pdp.address).start()
    yield running
    running.remove()


def touch(name: str) -> Call:
    return Call("Bash", {"command": f"touch {name}"}, id=f"toolu_{name}")


def settings(service: ServiceProcess) -> Settings:
    return hook_settings(service.url, EVENTS)


def test_a_write_of_two_megabytes_is_decided_like_any_other(
    service: ServiceProcess, space: Workspace, model: Model
) -> None:
    # In one line: with many of them 2.1.197 does not come to an end, with hooks or without.
    content = "".join(f"{number:07}." for number in range(LARGE_CHARACTERS // 8))
    calls = [
        Call("Write", {"file_path": str(space.project / name), "content": content}, id=f"toolu_{name}")
        for name in ("large", "forbidden")
    ]
    # In a session, which ends when it is told to: at the end of `claude -p PROMPT` 2.1.197 does not always write out all it has.
    with space.session(settings(service)) as session:
        session.prompt(model.script(*(turn(call) for call in calls)))
        session.wait_result()
        run = session.finish()

    assert (space.project / "large").read_text() == content
    assert not (space.project / "forbidden").exists()
    assert FORBIDDEN in run.tool_results["toolu_forbidden"]
    assert_recorded_once(service, run, ran=["toolu_large"], stopped=["toolu_forbidden"])
    assert min(record["body_bytes"] for record in decisions(service, run)) > LARGE_CHARACTERS


@pytest.mark.parametrize(
    ("characters", "error"),
    [
        pytest.param(9_000, "identity_invalid", id="beyond what web servers take by themselves"),
        pytest.param(100_000, "request_malformed", id="beyond what Hookgate takes"),
    ],
)
def test_a_user_name_that_makes_a_giant_header_gets_no_call_through(
    make_service: MakeService, pdp: Pdp, space: Workspace, model: Model, characters: int, error: str
) -> None:
    service = make_service(pdp.address)
    run = space.run(model.script(turn(touch("marker"))), settings(service), environment={"USER": "x" * characters})

    assert not (space.project / "marker").exists()
    assert error in run.tool_results["toolu_marker"]
    assert [record["error"] for record in service.records()] == [error]


def outage(
    space: Workspace, model: Model, service: ServiceProcess, breaks: Callable[[], object], mends: Callable[[], object]
) -> dict[str, str]:
    """Calls before, during and after a time without a PDP; gives what each was answered, by its record."""
    tag = model.script(
        turn(touch("before")),
        turn(touch("during"), before=breaks),
        turn(touch("still")),
        turn(touch("after"), before=mends),
        turn(touch("forbidden")),
    )
    run = space.run(tag, settings(service))

    assert space.made() == ["after", "before"]
    assert FORBIDDEN in run.tool_results["toolu_forbidden"]
    ran, stopped = ["toolu_before", "toolu_after"], ["toolu_during", "toolu_still", "toolu_forbidden"]
    assert_recorded_once(service, run, ran=ran, stopped=stopped)
    return {record["tool_use_id"]: record["error"] for record in decisions(service, run, "PreToolUse")}


def test_while_the_pdp_is_dead_calls_are_denied_and_once_it_is_back_they_run_again(
    make_pdp: MakePdp, make_service: MakeService, space: Workspace, model: Model
) -> None:
    pdp = make_pdp(POLICIES)
    service = make_service(pdp.address)
    errors = outage(space, model, service, breaks=pdp.kill, mends=pdp.start)

    assert errors["toolu_during"] == errors["toolu_still"] == "pdp_unavailable"
    assert errors["toolu_after"] == ""


def test_while_the_pdp_hangs_calls_are_denied_and_once_it_goes_on_they_run_again(
    make_pdp: MakePdp, make_service: MakeService, space: Workspace, model: Model
) -> None:
    pdp = make_pdp(POLICIES)
    service = make_service(pdp.address)
    errors = outage(space, model, service, breaks=pdp.freeze, mends=pdp.thaw)

    assert errors["toolu_during"] == errors["toolu_still"] == "pdp_timeout"
    assert errors["toolu_after"] == ""


@dataclass
class Restarts:
    """Restarts a service again and again while a client works: restart `n` begins at a random moment after the client has
    got to turn `n * turns_each`, and takes as long as it takes."""

    service: ServiceProcess
    times: int
    turns_each: int
    random: random.Random
    done: int = 0
    exits: list[int] = field(default_factory=list)
    fault: AssertionError | None = None
    _reached: int = 0
    _moved: threading.Condition = field(default_factory=threading.Condition)
    _given_up: bool = False

    def reach(self, number: int) -> None:
        """The client has got to this turn; it goes no further where a restart has failed."""
        if self.fault is not None:
            raise self.fault
        with self._moved:
            self._reached = number
            self._moved.notify_all()

    def give_up(self) -> None:
        """Begins no further restart."""
        with self._moved:
            self._given_up = True
            self._moved.notify_all()

    def run(self) -> None:
        while self.done < self.times and self._wait_for(self.done * self.turns_each):
            # Anywhere within a call: before, between and after its hooks.
            time.sleep(self.random.uniform(0, 0.15))
            self.exits.append(self.service.stop())
            try:
                self.service.start()
            except AssertionError as fault:
                self.fault = fault
                return
            self.done += 1

    def _wait_for(self, number: int) -> bool:
        with self._moved:
            self._moved.wait_for(lambda: self._given_up or self._reached >= number, timeout=60)
            return not self._given_up and self._reached >= number


@pytest.fixture
def held_port() -> Iterator[socket.socket]:
    """A listening socket as a socket unit holds it: connections wait in its queue while no service runs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        yield listener


def _mixed_turns(space: Workspace, count: int, reach: Callable[[int], None]) -> tuple[list[Turn], list[str], list[str]]:
    """Turns of commands and reads, some alone, some beside each other, every third call forbidden; with the tool use ids
    of those that are to run, and of those that are not."""
    (space.project / "note").write_text("plain\n")
    (space.project / "forbidden-note").write_text("heron\n")
    turns, ran, stopped = [], [], []
    for number in range(count):
        forbidden = number % 3 == 1
        name = f"forbidden{number}" if forbidden else f"marker{number}"
        calls = [touch(name)]
        if number % 4 == 2:
            files = {
                "note": f"toolu_read{number}",
                "forbidden-note": f"toolu_no{number}",
                "README.md": f"toolu_me{number}",
            }
            calls += [Call("Read", {"file_path": str(space.project / file)}, id=at) for file, at in files.items()]
            ran += [f"toolu_read{number}", f"toolu_me{number}"]
            stopped.append(f"toolu_no{number}")
        (stopped if forbidden else ran).append(f"toolu_{name}")
        turns.append(turn(*calls, before=partial(reach, number)))
    return turns, ran, stopped


def _restart_in_the_middle(
    service: ServiceProcess, space: Workspace, model: Model, *, times: int, turns_each: int
) -> None:
    restarts = Restarts(service, times, turns_each, random.Random(times))
    turns, ran, stopped = _mixed_turns(space, times * turns_each, restarts.reach)
    tag = model.script(*turns)
    thread = threading.Thread(target=restarts.run, name="restarts", daemon=True)
    thread.start()
    try:
        run = space.run(tag, settings(service), timeout_seconds=60 + 5 * times)
    finally:
        restarts.give_up()
        thread.join(60)

    assert "heron" not in str(model.requests(tag)), "a denied read ran"
    made = {f"toolu_{name}" for name in space.made()}
    assert made.isdisjoint(stopped), "a denied command ran"
    assert {identity for identity in ran if identity.startswith("toolu_marker")} <= made, (
        "an allowed command did not run"
    )
    assert all(FORBIDDEN in run.tool_results[identity] for identity in stopped)
    assert (restarts.done, set(restarts.exits)) == (times, {0})
    assert_recorded_once(service, run, ran=ran, stopped=stopped)


def test_the_client_gives_an_idle_connection_up_by_itself_so_that_a_stop_never_closes_one_that_it_is_about_to_use(
    make_service: MakeService, pdp: Pdp, space: Workspace, model: Model
) -> None:
    service = make_service(pdp.address, {"server": {"linger_seconds": 2}})
    open_then: list[float] = []

    def idle() -> None:
        open_then.append(service.metric("hookgate_connections"))
        until(lambda: service.metric("hookgate_connections") == 0, seconds=1.8, what="the client to close")

    run = space.run(model.script(turn(touch("first")), turn(touch("second"), before=idle)), settings(service))

    assert open_then == [1]
    assert_recorded_once(service, run, ran=["toolu_first", "toolu_second"])


def test_six_restarts_behind_an_inherited_listener_lose_no_denial_and_no_call(
    make_service: MakeService, pdp: Pdp, held_port: socket.socket, space: Workspace, model: Model
) -> None:
    service = make_service(pdp.address, listener=held_port)
    _restart_in_the_middle(service, space, model, times=6, turns_each=4)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("linger_seconds", "client_idles_seconds"), [(0.2, 0.2), (2, 1), (2, 2)], ids=["at once", "client's end", "our end"]
)
def test_no_call_is_lost_that_comes_just_when_a_stopping_service_or_the_client_gives_its_connection_up(
    make_service: MakeService,
    pdp: Pdp,
    held_port: socket.socket,
    space: Workspace,
    model: Model,
    linger_seconds: float,
    client_idles_seconds: float,
) -> None:
    service = make_service(pdp.address, {"server": {"linger_seconds": linger_seconds}}, listener=held_port)
    rounds, aim = 60, random.Random(60)
    restarting: list[threading.Thread] = []

    def await_successor() -> None:
        while restarting:
            restarting.pop().join()

    def restart_and_pause() -> None:
        assert service.process is not None
        service.send(signal.SIGTERM)
        process = service.process
        restarting.append(threading.Thread(target=lambda: (process.wait(), service.start())))
        restarting[-1].start()
        time.sleep(client_idles_seconds + aim.uniform(-0.03, 0.03))

    turns = []
    for number in range(rounds):
        turns.append(turn(touch(f"marker{number}"), before=await_successor))
        turns.append(turn(touch(f"forbidden{number}"), before=restart_and_pause))
    run = space.run(model.script(*turns), settings(service), timeout_seconds=600)
    await_successor()

    assert space.made() == sorted(f"marker{number}" for number in range(rounds))
    ran, stopped = ([f"toolu_{name}{number}" for number in range(rounds)] for name in ("marker", "forbidden"))
    assert_recorded_once(service, run, ran=ran, stopped=stopped)


@pytest.mark.soak
def test_a_hundred_restarts_lose_no_denial_and_no_call(
    make_service: MakeService, pdp: Pdp, held_port: socket.socket, space: Workspace, model: Model
) -> None:
    service = make_service(pdp.address, {"server": {"linger_seconds": 2}}, listener=held_port)
    _restart_in_the_middle(service, space, model, times=100, turns_each=4)
