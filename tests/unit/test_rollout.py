"""Which mode a principal's calls are answered in."""

from hypothesis import given
from hypothesis import strategies as st

from hookgate.config.tree import RolloutRule
from hookgate.identity.principal import Principal, Source
from hookgate.identity.rollout import mode_for
from hookgate.outcome import Mode

OBSERVE, ENFORCE = Mode.OBSERVE, Mode.ENFORCE

_names = st.lists(st.sampled_from(["alex", "eng", "ops"]), max_size=2, unique=True).map(tuple)
rules = st.lists(
    st.builds(
        RolloutRule,
        mode=st.sampled_from(Mode),
        users=_names,
        roles=_names,
        groups=_names,
        allow_unverified=st.booleans(),
    ),
    max_size=4,
)
principals = st.builds(
    Principal,
    id=st.sampled_from(["alex", "eng", "sam"]),
    roles=_names,
    source=st.sampled_from(Source),
    verified=st.booleans(),
    groups=_names,
)


def someone(*roles: str, verified: bool = False, groups: tuple[str, ...] = ()) -> Principal:
    return Principal("alex", roles or ("guest",), Source.HEADER, verified=verified, groups=groups)


def test_without_a_rule_that_matches_the_default_mode_holds() -> None:
    rule = RolloutRule(mode=ENFORCE, roles=("eng",))
    assert mode_for(someone("ops"), OBSERVE, [rule]) is OBSERVE
    assert mode_for(someone("eng"), OBSERVE, [rule]) is ENFORCE
    assert mode_for(someone(), ENFORCE, []) is ENFORCE


def test_nobody_can_name_oneself_into_the_group_that_is_only_observed() -> None:
    rule = RolloutRule(mode=OBSERVE, roles=("pilot",))
    assert mode_for(someone("pilot"), ENFORCE, [rule]) is ENFORCE
    assert mode_for(someone("pilot", verified=True), ENFORCE, [rule]) is OBSERVE
    unverified = RolloutRule(mode=OBSERVE, roles=("pilot",), allow_unverified=True)
    assert mode_for(someone("pilot"), ENFORCE, [unverified]) is OBSERVE


def test_where_several_rules_match_enforce_wins_whatever_their_order() -> None:
    observe = RolloutRule(mode=OBSERVE, roles=("pilot",), allow_unverified=True)
    enforce = RolloutRule(mode=ENFORCE, roles=("eng",))
    for order in ([observe, enforce], [enforce, observe]):
        assert mode_for(someone("eng", "pilot"), OBSERVE, order) is ENFORCE


def test_a_rule_matches_by_user_role_or_group() -> None:
    for rule in (
        RolloutRule(mode=ENFORCE, users=("alex",)),
        RolloutRule(mode=ENFORCE, roles=("guest",)),
        RolloutRule(mode=ENFORCE, groups=("g",)),
    ):
        assert mode_for(someone(groups=("g",)), OBSERVE, [rule]) is ENFORCE
    assert mode_for(someone(), OBSERVE, [RolloutRule(mode=ENFORCE)]) is OBSERVE


@given(rules=rules, default=st.sampled_from(Mode))
def test_a_principal_that_could_not_be_established_gets_the_strictest_mode_that_any_rule_names(
    rules: list[RolloutRule], default: Mode
) -> None:
    expected = ENFORCE if ENFORCE in [default, *(rule.mode for rule in rules)] else OBSERVE
    assert mode_for(None, default, rules) is expected


@given(principal=principals, rules=rules, default=st.sampled_from(Mode))
def test_the_mode_depends_on_the_rules_that_match_alone(
    principal: Principal, rules: list[RolloutRule], default: Mode
) -> None:
    matching = {
        rule.mode
        for rule in rules
        if (
            principal.id in rule.users or set(principal.roles) & {*rule.roles} or set(principal.groups) & {*rule.groups}
        )
        and (rule.mode is ENFORCE or principal.verified or rule.allow_unverified)
    }
    found = mode_for(principal, default, rules)
    assert found is (default if not matching else ENFORCE if ENFORCE in matching else OBSERVE)
    # More rules that enforce never loosen it.
    assert mode_for(principal, default, [*rules, RolloutRule(mode=ENFORCE, users=(principal.id,))]) is ENFORCE
