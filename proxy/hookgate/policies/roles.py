"""DENY rules that a second role escapes: roles are judged one by one, and the first that ends in ALLOW wins."""

from collections.abc import Iterator

from hookgate.hooks.catalog import EVENTS
from hookgate.policies.finding import Finding, Kind
from hookgate.policies.model import ANYONE, DENY, Policy


def role_named_denials(policy: Policy) -> Iterator[Finding]:
    """Finds the DENY rules that name a role, or a derived role that stands on one."""
    if policy.kind not in EVENTS:
        return
    for rule in policy.rules:
        if rule.effect != DENY:
            continue
        if rule.roles and ANYONE not in rule.roles:
            yield Finding(
                Kind.ROLE_NAMED_DENY,
                policy.file,
                rule.line,
                rule.title,
                f"denies to {_listed(rule.roles)}: whoever has another role besides, which some rule allows, escapes it",
                f'roles: ["*"], and in the condition: {_held(rule.roles)}',
            )
        for name in rule.derived_roles:
            role = policy.derived_roles.get(name)
            if role is not None and ANYONE not in role.parent_roles:
                yield Finding(
                    Kind.ROLE_NAMED_DENY,
                    policy.file,
                    rule.line,
                    rule.title,
                    f"denies to the derived role {name}, which stands on {_listed(role.parent_roles)}:"
                    " whoever has another role besides, which some rule allows, escapes it",
                    f'parentRoles: ["*"] for {name}, and in its condition: {_held(role.parent_roles)}',
                )


def _listed(roles: tuple[str, ...]) -> str:
    return f"the role {roles[0]}" if len(roles) == 1 else f"the roles {', '.join(roles)}"


def _held(roles: tuple[str, ...]) -> str:
    if len(roles) == 1:
        return f'"{roles[0]}" in P.roles'
    return "P.roles.exists(role, role in [" + ", ".join(f'"{role}"' for role in roles) + "])"
