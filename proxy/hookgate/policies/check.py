"""All that can be told of policies without asking a PDP."""

from collections.abc import Iterator, Sequence

from hookgate.hooks.catalog import EVENTS
from hookgate.policies.finding import Finding, Kind
from hookgate.policies.missing import missing_attributes
from hookgate.policies.model import Policy
from hookgate.policies.names import line_bound_patterns, misnamed_actions, misnamed_events, narrow_wildcards
from hookgate.policies.outputs import misleading_outputs
from hookgate.policies.reading import unread
from hookgate.policies.roles import role_named_denials

_CHECKS = (
    unread,
    misnamed_events,
    misnamed_actions,
    missing_attributes,
    role_named_denials,
    misleading_outputs,
    line_bound_patterns,
    narrow_wildcards,
)


def findings_in(policies: Sequence[Policy]) -> tuple[Finding, ...]:
    """Gives what bites in these policies, by file and line."""
    found = [finding for policy in policies for check in _CHECKS for finding in check(policy)]
    return tuple(sorted(found, key=lambda finding: (finding.file, finding.line, finding.kind))) + tuple(
        _silence(policies)
    )


def _silence(policies: Sequence[Policy]) -> Iterator[Finding]:
    if not any(policy.kind in EVENTS for policy in policies):
        yield Finding(
            Kind.NO_POLICY,
            "",
            0,
            "",
            "no policy speaks about any event: every call goes on without an opinion",
            "add one with resource: PreToolUse",
        )
