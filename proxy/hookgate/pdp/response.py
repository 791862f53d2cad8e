"""An answer of the PDP: one CheckResources response (cerbos.response.v1), checked against the question."""

from collections.abc import Sequence
from typing import Any

from cerbos.effect.v1 import effect_pb2
from cerbos.response.v1.response_pb2 import CheckResourcesResponse
from google.protobuf.internal import decoder
from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Value

from hookgate.errors import ErrorKind, GateError
from hookgate.pdp.decision import Decision, Effect, Output
from hookgate.pdp.request import Question

try:
    from google._upb._message import SetAllowOversizeProtos
except ImportError:  # protobuf without its compiled part

    def SetAllowOversizeProtos(allow: bool, /) -> None:  # noqa: D103, N802
        decoder.SetRecursionLimit(10_000 if allow else 100)


#: Of JSON in an output: a payload of a hundred, and what a policy puts around it.
MAX_LEVELS = 150

_EFFECTS = {effect_pb2.EFFECT_ALLOW: Effect.ALLOW, effect_pb2.EFFECT_DENY: Effect.DENY}


def decode(data: bytes, question: Question, seconds: float) -> Decision:
    """Gives the decision. Raises GateError: pdp_nonsense, where the answer is not one to this question."""
    return decode_all(data, (question,), seconds)[0]


def decode_all(data: bytes, questions: Sequence[Question], seconds: float) -> list[Decision]:
    """Gives the decisions about several questions of one request, in their order. Raises GateError: pdp_nonsense, likewise."""
    try:
        response = CheckResourcesResponse.FromString(data)
    except DecodeError:
        raise _nonsense("not a CheckResources response") from None
    if response.request_id != questions[0].request_id:
        raise _nonsense("another request's answer")
    if len(response.results) != len(questions):
        asked = "one resource" if len(questions) == 1 else f"{len(questions)} resources"
        raise _nonsense(f"{len(response.results)} results for {asked}")
    found = zip(response.results, questions, strict=True)
    return [_decision(result, question, response.cerbos_call_id, seconds) for result, question in found]


def _decision(result: CheckResourcesResponse.ResultEntry, question: Question, call_id: str, seconds: float) -> Decision:
    if (result.resource.id, result.resource.kind) != (question.resource_id, question.kind):
        raise _nonsense("an answer about another resource")
    if list(result.actions) != [question.action]:
        raise _nonsense("an answer about other actions")
    effect = _EFFECTS.get(result.actions[question.action])
    if effect is None:
        raise _nonsense("an effect that is neither allow nor deny")
    meta = result.meta.actions.get(question.action)
    return Decision(
        effect=effect,
        policy=meta.matched_policy if meta else "",
        scope=meta.matched_scope if meta else "",
        no_match=meta is not None and meta.matched_policy == "NO_MATCH",
        outputs=_outputs(result, question.action),
        call_id=call_id,
        derived_roles=tuple(result.meta.effective_derived_roles),
        validation_errors=tuple(f"{error.path}: {error.message}" for error in result.validation_errors),
        seconds=seconds,
    )


def allow_deep_answers() -> None:
    """Lets protobuf read what a policy hands back of a payload. By itself it stops at 100 messages, which is 32 levels of
    JSON: whoever nests deeper could choose between being judged and an answer that can't be read."""
    SetAllowOversizeProtos(True)


def _outputs(result: CheckResourcesResponse.ResultEntry, action: str) -> tuple[Output, ...]:
    """Each rule's output once: the PDP repeats them for every role."""
    found: list[Output] = []
    for entry in result.outputs:
        if entry.action and entry.action != action:
            continue
        output = Output(entry.src, _plain(entry.val) if entry.HasField("val") else None, entry.error)
        if output not in found:
            found.append(output)
    return tuple(found)


def _plain(value: Value, levels: int = MAX_LEVELS) -> Any:
    if levels == 0:
        raise _nonsense(f"an output nested deeper than {MAX_LEVELS} levels")
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return {key: _plain(item, levels - 1) for key, item in value.struct_value.fields.items()}
    if kind == "list_value":
        return [_plain(item, levels - 1) for item in value.list_value.values]
    if kind is None or kind == "null_value":
        return None
    return getattr(value, kind)


def _nonsense(detail: str) -> GateError:
    return GateError(ErrorKind.PDP_NONSENSE, detail)
