"""Users of the last hour are counted, and a flood of invented names costs bounded room."""

from hookgate.telemetry import principals
from hookgate.telemetry.metrics import Metrics
from hookgate.telemetry.principals import Principals


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_each_user_counts_once_for_an_hour_since_seen_last() -> None:
    clock = Clock()
    seen = Principals(clock)
    for user in ("alex", "kim", "alex", ""):
        seen.see(user, verified=True)
    assert (seen.count(verified=True), seen.count(verified=False)) == (2, 0)
    clock.now += principals.WINDOW_SECONDS - 1
    seen.see("alex", verified=True)
    clock.now += 2
    assert seen.count(verified=True) == 1


def test_the_verified_and_the_others_are_counted_apart() -> None:
    seen = Principals()
    seen.see("alex", verified=True)
    seen.see("alex", verified=False)
    assert (seen.count(verified=True), seen.count(verified=False)) == (1, 1)


def test_invented_names_push_out_the_oldest() -> None:
    seen = Principals()
    for number in range(principals.MOST + 5):
        seen.see(f"u{number}", verified=False)
    assert seen.count(verified=False) == principals.MOST


def test_the_count_is_exposed() -> None:
    metrics = Metrics()
    metrics.principals.see("alex", verified=True)
    assert metrics.registry.get_sample_value("hookgate_principals", {"verified": "true"}) == 1
    assert metrics.registry.get_sample_value("hookgate_principals", {"verified": "false"}) == 0
