"""The question that Hookgate asks about a payload, in the two forms that the bare PDP is asked in."""

import asyncio
from dataclasses import dataclass

import msgspec
from cerbos.effect.v1 import effect_pb2
from cerbos.request.v1.request_pb2 import CheckResourcesRequest
from cerbos.response.v1.response_pb2 import CheckResourcesResponse
from google.protobuf import json_format

from bench.payloads import HEADERS, Payload
from hookgate.config import Config
from hookgate.config.tree import Pdp
from hookgate.facts import facts_of
from hookgate.hooks.decode import Reader
from hookgate.hooks.event import event_from
from hookgate.identity.chain import Chain
from hookgate.identity.connection import UNKNOWN
from hookgate.pdp.question import question_for
from hookgate.pdp.request import encode


@dataclass(frozen=True, slots=True)
class Asked:
    """One CheckResources request: as gRPC has it, as JSON for the PDP's HTTP API, and as JSON with a tool's result in full where
    Hookgate leaves it out."""

    protobuf: bytes
    json: bytes
    uncut: bytes


def config_for(address: str) -> Config:
    """Gives the configuration that ships, for a PDP."""
    return Config(pdp=Pdp(address=address))


def reader_for(config: Config, *, cut: bool = True) -> Reader:
    """Gives the reader that the gate makes; with `cut` false, one that leaves nothing out."""
    whole_bytes = config.pdp.max_request_bytes
    return Reader(
        values=config.limits.values,
        cut_bytes=config.limits.tool_response_bytes if cut else whole_bytes,
        whole_bytes=whole_bytes,
    )


def asked(payload: Payload) -> Asked:
    """Gives what Hookgate asks."""
    encoded = _encoded(payload, cut=True)
    return Asked(encoded, _as_json(encoded), _as_json(_encoded(payload, cut=False)))


def _encoded(payload: Payload, *, cut: bool) -> bytes:
    config = config_for("unix:/nowhere")
    event = event_from(asyncio.run(reader_for(config, cut=cut).read(payload.body)))
    question = question_for(
        event,
        asyncio.run(Chain(config.identity).principal(HEADERS, UNKNOWN)),
        facts_of(event),
        config.pdp,
        scope="",
        decision_id="00000000-0000-7000-8000-000000000000",
    )
    return encode(question)


def _as_json(encoded: bytes) -> bytes:
    return msgspec.json.encode(json_format.MessageToDict(CheckResourcesRequest.FromString(encoded)))


def allows_by_grpc(data: bytes) -> bool:
    """Whether a CheckResources response allows."""
    response = CheckResourcesResponse.FromString(data)
    return [list(result.actions.values()) for result in response.results] == [[effect_pb2.EFFECT_ALLOW]]


def allows_by_http(body: bytes) -> bool:
    """Whether an answer of the PDP's HTTP API allows."""
    return body.count(b'"EFFECT_ALLOW"') == 1 and b'"EFFECT_DENY"' not in body


def leaves_alone(body: bytes) -> bool:
    """Whether an answer to a hook lets the client's own rules go on, which is what the policies that ship say of an allowed call."""
    return body == b"{}"
