"""The configured expectations as questions for the canary."""

from hookgate.config import Config, ConfigError
from hookgate.config.tree import Expectation
from hookgate.errors import GateError
from hookgate.facts import facts_of
from hookgate.hooks.decode import Read
from hookgate.hooks.event import HookEvent, event_from
from hookgate.hooks.verdict import verdict_of
from hookgate.identity.principal import Principal, Source
from hookgate.ids import uuid7
from hookgate.outcome import Outcome
from hookgate.pdp.canary import Probe
from hookgate.pdp.decision import Decision
from hookgate.pdp.question import question_for
from hookgate.pdp.request import encode


def expectation_probes(config: Config) -> list[Probe]:
    """Gives a probe for each of `canary.expect`. Raises ConfigError where a payload is none."""
    probes, faults = [], []
    for i, expectation in enumerate(config.canary.expect):
        try:
            event = event_from(Read(expectation.payload, altered=False, truncated=()))
            probe = _probe(expectation, event, config)
            # YAML knows dates, and numbers beyond a double; the PDP does not.
            encode(probe.question)
        except GateError as error:
            faults.append(f"canary.expect[{i}].payload: {error.detail}")
        except (TypeError, ValueError, OverflowError) as error:
            faults.append(f"canary.expect[{i}].payload: {error}")
        else:
            probes.append(probe)
    if faults:
        raise ConfigError("configuration", faults)
    return probes


def _probe(expectation: Expectation, event: HookEvent, config: Config) -> Probe:
    principal = Principal(expectation.user, tuple(sorted(set(expectation.roles))), Source.HEADER)
    question = question_for(
        event, principal, facts_of(event), config.pdp, scope=config.pdp.scope, decision_id=f"canary-{uuid7()}"
    )

    def judge(decision: Decision) -> str | None:
        verdict = verdict_of(decision, event.spec, stricter_than_effect=config.outputs.stricter_than_effect)
        found = Outcome.NO_MATCH if decision.no_match else verdict.outcome
        if found is expectation.outcome:
            return None
        return f"expected {expectation.outcome.value}, got {found.value} ({decision.policy or 'no policy'})"

    return Probe(expectation.name, question, judge)
