"""Which mode a principal's calls are answered in."""

from collections.abc import Sequence

from hookgate.config.tree import RolloutRule
from hookgate.identity.principal import Principal
from hookgate.outcome import Mode


def mode_for(principal: Principal | None, default: Mode, rules: Sequence[RolloutRule]) -> Mode:
    """Gives the mode for a principal, or for one that could not be established (None).

    Where several rules match, enforce wins: otherwise a caller could name itself into an observed group beside its own.
    An observe rule matches verified principals only, unless it says `allow_unverified`.
    """
    if not rules:
        return default
    if principal is None:
        return _strictest([default, *(rule.mode for rule in rules)])
    matching = [rule.mode for rule in rules if _matches(rule, principal)]
    return _strictest(matching) if matching else default


def _strictest(modes: Sequence[Mode]) -> Mode:
    return Mode.ENFORCE if Mode.ENFORCE in modes else Mode.OBSERVE


def _matches(rule: RolloutRule, principal: Principal) -> bool:
    if rule.mode is Mode.OBSERVE and not (principal.verified or rule.allow_unverified):
        return False
    return (
        principal.id in rule.users
        or not set(rule.roles).isdisjoint(principal.roles)
        or not set(rule.groups).isdisjoint(principal.groups)
    )
