"""A gRPC server in the PDP's place: it keeps what it is asked, and answers as a test wants."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
from cerbos.effect.v1 import effect_pb2
from cerbos.request.v1.request_pb2 import CheckResourcesRequest
from cerbos.response.v1.response_pb2 import CheckResourcesResponse
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Value

from hookgate.pdp.canary import KIND as CANARY

ALLOW, DENY = effect_pb2.EFFECT_ALLOW, effect_pb2.EFFECT_DENY

#: Gives the response's bytes; may also end the call through its context, or never return.
Behaviour = Callable[[CheckResourcesRequest, grpc.ServicerContext], bytes]


@dataclass(frozen=True)
class Asked:
    """One request to the PDP, in plain values."""

    request_id: str
    include_meta: bool
    kind: str
    id: str
    policy_version: str
    scope: str
    actions: list[str]
    attr: dict[str, Any]
    principal_id: str
    roles: list[str]
    principal_attr: dict[str, Any]
    annotations: dict[str, Any]
    has_aux_data: bool


def asked(request: CheckResourcesRequest) -> Asked:
    """Gives a request in plain values."""
    assert len(request.resources) == 1
    resource = request.resources[0].resource
    return Asked(
        request_id=request.request_id,
        include_meta=request.include_meta,
        kind=resource.kind,
        id=resource.id,
        policy_version=resource.policy_version,
        scope=resource.scope,
        actions=list(request.resources[0].actions),
        attr=_plain(resource.attr),
        principal_id=request.principal.id,
        roles=list(request.principal.roles),
        principal_attr=_plain(request.principal.attr),
        annotations=_plain(request.request_context.annotations),
        has_aux_data=request.HasField("aux_data"),
    )


def _plain(values: Mapping[str, Value]) -> dict[str, Any]:
    return {key: MessageToDict(value) for key, value in values.items()}


def response(
    request: CheckResourcesRequest,
    effect: int = ALLOW,
    *outputs: dict[str, Any],
    policy: str = "resource.stand_in.vdefault",
) -> CheckResourcesResponse:
    """Gives a sensible response; each output becomes that of a rule of its own."""
    made = CheckResourcesResponse(request_id=request.request_id, cerbos_call_id="01STANDIN")
    entry, action = request.resources[0], request.resources[0].actions[0]
    result = made.results.add()
    result.resource.id, result.resource.kind = entry.resource.id, entry.resource.kind
    result.actions[action] = effect  # type: ignore[assignment]
    result.meta.actions[action].matched_policy = policy
    for number, output in enumerate(outputs):
        added = result.outputs.add(src=f"{policy}#rule-{number:03}", action=action)
        added.val.struct_value.update(output)
    return made


def says(effect: int, *outputs: dict[str, Any]) -> Behaviour:
    """Gives the behaviour of a PDP that always answers so."""
    return lambda request, context: response(request, effect, *outputs).SerializeToString()


def never(request: CheckResourcesRequest, context: grpc.ServicerContext) -> bytes:
    """Answers nothing until the caller has gone."""
    gone = threading.Event()
    context.add_callback(gone.set)
    gone.wait(60)
    return b""


class StandInPdp:
    """One server on a port of its own. The canary is told that there is no policy for it, unless `canary` says else."""

    def __init__(self, credentials: grpc.ServerCredentials | None = None) -> None:
        self.forget()
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._server = grpc.server(ThreadPoolExecutor(32), options=options)
        # Bytes out, so that it can answer what is no message.
        method = grpc.unary_unary_rpc_method_handler(
            self._check, request_deserializer=CheckResourcesRequest.FromString, response_serializer=bytes
        )
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("cerbos.svc.v1.CerbosService", {"CheckResources": method}),)
        )
        local = "127.0.0.1:0"
        port = (
            self._server.add_secure_port(local, credentials) if credentials else self._server.add_insecure_port(local)
        )
        self.address = f"127.0.0.1:{port}"
        self._server.start()

    def forget(self) -> None:
        """Begins anew: nothing asked yet, everything allowed, no policy for the canary."""
        self.requests: list[CheckResourcesRequest] = []
        #: The names in the certificates of those who asked.
        self.callers: list[set[bytes]] = []
        #: The `traceparent` of each request; empty where there is none.
        self.traceparents: list[str] = []
        self.behaviour: Behaviour = says(ALLOW)
        self.canary: Behaviour = lambda request, context: response(request, DENY, policy="NO_MATCH").SerializeToString()

    def about(self, session_id: str) -> list[Asked]:
        """Gives what was asked about one session, in order."""
        found = (asked(request) for request in self.requests)
        return [one for one in found if one.attr.get("session_id") == session_id]

    def stop(self) -> None:
        """Ends it."""
        self._server.stop(None).wait()

    def _check(self, request: CheckResourcesRequest, context: grpc.ServicerContext) -> bytes:
        if request.resources[0].resource.kind == CANARY:
            return self.canary(request, context)
        self.requests.append(request)
        names: Any = context.auth_context().get("x509_subject_alternative_name", ())
        self.callers.append(set(names))
        self.traceparents.append(str(dict(context.invocation_metadata()).get("traceparent", "")))
        return self.behaviour(request, context)
