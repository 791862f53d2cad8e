import pytest

from hookgate.pdp.decision import Effect
from hookgate.pdp.request import Question
from tests.policies.pdp import RunningPdp


def ask(pdp: RunningPdp, action: str) -> tuple[Effect, list[object]]:
    decision = pdp.ask(
        Question(
            request_id="canary",
            kind="hookgate:canary",
            resource_id="canary",
            action=action,
            attributes={},
            principal_id="hookgate_canary",
            roles=("hookgate_canary",),
            principal_attributes={},
        )
    )
    assert not decision.no_match
    return decision.effect, [output.value for output in decision.outputs]


@pytest.mark.parametrize("evaluation", ["strict", "lenient"])
def test_the_canary_has_its_known_answers(shipped: RunningPdp, shipped_lenient: RunningPdp, evaluation: str) -> None:
    pdp = shipped if evaluation == "strict" else shipped_lenient
    denying = {
        "hookSpecificOutput": {"permissionDecision": "deny", "permissionDecisionReason": "canary"},
        "revision": "",
    }
    assert ask(pdp, "allow") == (Effect.ALLOW, [])
    assert ask(pdp, "deny") == (Effect.DENY, [])
    assert ask(pdp, "output") == (Effect.ALLOW, [denying])


def test_the_canary_tells_strict_from_lenient_evaluation(shipped: RunningPdp, shipped_lenient: RunningPdp) -> None:
    assert ask(shipped, "strict") == (Effect.DENY, [])
    assert ask(shipped_lenient, "strict") == (Effect.ALLOW, [])
