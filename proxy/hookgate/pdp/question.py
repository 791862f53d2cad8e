"""From an event to the question about it: the mapping that policies written for Cerbos Synapse's `/ext/claude` know."""

from hookgate import __version__
from hookgate.config.tree import Pdp
from hookgate.facts.model import Facts
from hookgate.hooks.event import HookEvent
from hookgate.identity.principal import Principal
from hookgate.pdp.request import Question


def question_for(
    event: HookEvent,
    principal: Principal,
    facts: Facts,
    config: Pdp,
    *,
    scope: str,
    decision_id: str,
    request_id: str = "",
) -> Question:
    """Gives the question. The annotations land in the PDP's own access and decision logs."""
    return Question(
        request_id=request_id or decision_id,
        kind=event.name,
        resource_id=event.tool_use_id or event.prompt_id or event.session_id or decision_id,
        action=event.action,
        attributes={**event.payload, "facts": facts.attributes()},
        principal_id=principal.id,
        roles=principal.roles,
        principal_attributes=principal.attributes(),
        policy_version=config.policy_version,
        scope=scope,
        token=principal.token,
        key_set=principal.key_set,
        annotations={
            "hookgate_decision_id": decision_id,
            "hookgate_version": __version__,
            "session_id": event.session_id,
            "tool_use_id": event.tool_use_id,
        },
    )
