"""Values of outputs, brought to the client's types."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookgate.hooks.catalog import Kind
from hookgate.hooks.fields import WrongTypeError, checked, integral
from tests.support.client_schema import problems
from tests.unit.strategies import pdp_values, permission_updates

DEMANDED: dict[Kind, tuple[str, str]] = {
    Kind.STRING: ("PreToolUse", "additionalContext"),
    Kind.BOOLEAN: ("PermissionDenied", "retry"),
    Kind.OBJECT: ("PreToolUse", "updatedInput"),
    Kind.STRINGS: ("CwdChanged", "watchPaths"),
}


@given(value=pdp_values, kind=st.sampled_from(list(DEMANDED)))
def test_a_field_is_passed_on_only_if_the_client_takes_it_there(value: Any, kind: Kind) -> None:
    event, key = DEMANDED[kind]
    try:
        passed = checked(value, kind)
    except WrongTypeError:
        return
    assert problems(event, {"hookSpecificOutput": {"hookEventName": event, key: passed}}) == []


@given(value=permission_updates)
def test_permission_updates_are_passed_on_only_if_the_client_takes_them(value: Any) -> None:
    event = "PermissionRequest"

    def verdict(updates: Any) -> list[str]:
        decision = {"behavior": "allow", "updatedPermissions": updates}
        return problems(event, {"hookSpecificOutput": {"hookEventName": event, "decision": decision}})

    try:
        passed = checked(value, Kind.PERMISSIONS)
    except WrongTypeError:
        assert verdict(value)
    else:
        assert verdict(passed) == []


@pytest.mark.parametrize("key", ["type", "destination", "mode", "directories", "behavior", "rules"])
@pytest.mark.parametrize("odd", [[], {}, [[]], None, 5.0, True])
def test_a_permission_update_with_a_part_of_an_odd_type_is_refused(key: str, odd: Any) -> None:
    updates: dict[str, dict[str, Any]] = {
        "mode": {"type": "setMode", "mode": "plan", "destination": "session"},
        "directories": {"type": "addDirectories", "directories": ["/a"], "destination": "session"},
    }
    rules = {"type": "addRules", "behavior": "deny", "rules": [{"toolName": "Bash"}], "destination": "session"}
    update = updates.get(key, rules)
    assert checked([update], Kind.PERMISSIONS) == [update]
    if (key, odd) in (("directories", []), ("rules", [])):
        return
    with pytest.raises(WrongTypeError):
        checked([update | {key: odd}], Kind.PERMISSIONS)


@pytest.mark.parametrize(
    ("double", "number"), [(120000.0, 120000), (-0.0, 0), (2.0**53, 2**53), (2.5, 2.5), (1e300, 1e300)]
)
def test_whole_doubles_become_integers_again_as_long_as_they_are_exact(double: float, number: float) -> None:
    found = integral({"a": [double]})["a"][0]
    assert found == number
    assert type(found) is type(number)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", [Kind.OBJECT, Kind.ANY])
def test_numbers_that_json_has_not_are_of_the_wrong_type_however_deep(number: float, kind: Kind) -> None:
    with pytest.raises(WrongTypeError):
        checked({"a": [{"b": number}]}, kind)


def test_truth_values_stay_truth_values() -> None:
    assert integral([True, False, None]) == [True, False, None]
    with pytest.raises(WrongTypeError):
        checked(1.0, Kind.BOOLEAN)


def test_null_is_no_value_for_any_kind() -> None:
    for kind in Kind:
        with pytest.raises(WrongTypeError):
            checked(None, kind)
