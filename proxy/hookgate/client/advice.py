"""What a plan leaves open: doctor's findings about the settings that it makes, each with the plan's own key and how to mend it there."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hookgate.client import route
from hookgate.client.examine import Settings, examine
from hookgate.client.finding import Finding, Kind, Severity
from hookgate.client.managed import Platform, managed_settings
from hookgate.client.plan import Plan
from hookgate.client.reading import Scope, SettingsFile
from hookgate.client.settings import timeout_of


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing that is left open: the key of the plan, what it means, and the mend."""

    kind: Kind
    key: str
    meaning: str
    mend: str

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return self.kind.severity


#: The plan's key that a finding comes from, and what to write there.
_KEYS = {
    Kind.NO_HOOKS: ("events.without", "Take PreToolUse out of the list; let the URL's path be /ext/claude."),
    Kind.EVENT_MISSING: ("events.without", "Take {detail} out of the list."),
    Kind.EVENT_UNTOLD: ("events.without", "Take {detail} out of the list."),
    Kind.EVENT_UNSUITABLE: ("events.message_display", "Leave it out."),
    Kind.VERSION_NOT_REQUIRED: ("hardening.minimum_version", "Leave it out, or send everything by the bridge."),
    Kind.NAME_IS_PRIVATE: ("url", "Write the literal address ({detail}), or a name with a public one."),
    Kind.LOCALHOST: ("url", "Write 127.0.0.1."),
    Kind.URL_PLAIN: ("url", "Write https, or put Hookgate on each machine's loopback."),
    Kind.URL_NOT_ALLOWED: ("settings.allowedHttpHookUrls", "Add the URL."),
    Kind.TIMEOUT_UNSUITABLE: ("timeout_seconds", "Let it be longer than deadline_seconds."),
    Kind.PROXIED: ("hardening.pin_environment", "Leave it out."),
    Kind.PROXY_NOT_PINNED: ("hardening.pin_environment", "Leave it out, and {detail} out of hardening.env."),
    Kind.SHELL_NOT_PINNED: (
        "hardening.pin_environment",
        "Leave it out; let hardening.path name directories. Open: {detail}.",
    ),
    Kind.TLS_UNCHECKED: (
        "hardening.env",
        "Take NODE_TLS_REJECT_UNAUTHORIZED out; name the authority in identity.ca_file.",
    ),
    Kind.VARIABLE_NOT_ALLOWED: (
        "headers",
        "Use identity.variable or identity.token_variable for {detail}, or write the value.",
    ),
    Kind.VARIABLE_UNFILLABLE: ("headers", "Use another variable than {detail}."),
    Kind.SECRET_IN_HEADER: ("headers", "Use identity.token_variable, or a client certificate."),
    Kind.OTHERS_HOOKS: ("hardening.managed_hooks_only", "Leave it out."),
    Kind.BYPASS_ALLOWED: ("hardening.bypass_mode", "Leave it out."),
    Kind.SKILL_SHELL_ALLOWED: ("hardening.skill_shell", "Leave it out."),
    Kind.MENTIONS_OPEN: ("deny", 'Leave it out, or add rules such as "Read(**/.env)".'),
    Kind.HOOKS_DISABLED: ("settings.disableAllHooks", "Take it out."),
}
#: What depends on the machine that the settings come to.
_ELSEWHERE = (Kind.VARIABLE_UNSET, Kind.NAME_UNKNOWN)


def advice(plan: Plan, platform: Platform = Platform.LINUX, resolve: route.Resolve = route.resolve) -> list[Advice]:
    """Gives all that is left open, holes first, each of a kind and key once."""
    file = SettingsFile(Scope.MANAGED, Path("managed-settings.json"), managed_settings(plan, platform))
    found = [_advice(one) for one in examine(Settings([file], {}, url=plan.url), resolve) if one.kind not in _ELSEWHERE]
    found += _deadlines(plan)
    unique = {(one.kind, one.key, one.mend): one for one in found}
    return sorted(unique.values(), key=lambda one: (one.severity is Severity.WARNING, one.key))


def advice_for(
    plan: Plan, platforms: Iterable[Platform], resolve: route.Resolve = route.resolve
) -> dict[Advice, list[Platform]]:
    """Gives all that is left open on any of these platforms, holes first, and where."""
    found: dict[Advice, list[Platform]] = {}
    once = cache(resolve)
    for platform in platforms:
        for one in advice(plan, platform, once):
            found.setdefault(one, []).append(platform)
    return dict(sorted(found.items(), key=lambda item: item[0].severity is Severity.WARNING))


def _advice(finding: Finding) -> Advice:
    key, mend = _KEYS.get(finding.kind, ("settings", finding.kind.mend))
    return Advice(finding.kind, key, finding.kind.meaning, mend.format(detail=finding.detail))


def _deadlines(plan: Plan) -> Iterator[Advice]:
    for event in ("PreToolUse", "UserPromptSubmit", "SessionEnd"):
        wait = timeout_of(event, plan.timeout_seconds)
        if wait <= plan.deadline_seconds:
            yield Advice(
                Kind.TIMEOUT_UNSUITABLE,
                "deadline_seconds",
                f"For {event} the client waits {wait:g} s at most, which is not longer than a decision may take.",
                "Lower decision.deadline_seconds, and this with it; or raise timeout_seconds.",
            )
