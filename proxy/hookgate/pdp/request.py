"""A question to the PDP: one CheckResources request (cerbos.request.v1)."""

import marshal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from cerbos.request.v1.request_pb2 import CheckResourcesRequest
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value


class Question(msgspec.Struct, frozen=True):
    """What is asked. `attributes` and the other mappings hold JSON values; `action` is one action."""

    request_id: str
    kind: str
    resource_id: str
    action: str
    attributes: Mapping[str, Any]
    principal_id: str
    roles: tuple[str, ...]
    principal_attributes: Mapping[str, Any]
    policy_version: str = ""
    scope: str = ""
    annotations: Mapping[str, str] | None = None
    #: The caller's own token for the PDP to verify, and which of its key sets is to do it.
    token: str = ""
    key_set: str = ""

    def __repr__(self) -> str:
        # The token must not show.
        return f"Question({self.request_id!r}, {self.kind!r}, {self.action!r})"


#: What is said of a call's facts and of who asks is the same in many questions.
_FACTS = "facts"
_MAX_PARTS, _MAX_PART_BYTES = 256, 16 * 1024
#: Of the field `resources` in a request.
_RESOURCES = CheckResourcesRequest.DESCRIPTOR.fields_by_name["resources"].number << 3 | 2


class _Parts:
    """Parts of messages, remembered by the values that they were made of."""

    def __init__(self) -> None:
        self._known: dict[bytes, bytes] = {}

    def part(self, make: Callable[..., Message], *values: Any) -> bytes:
        """Gives the bytes of the message that is made of some values."""
        try:
            # Tells all types apart, and takes no others than JSON has. Version 2 knows no references, so equal values look alike.
            key = marshal.dumps(values, 2)
        except ValueError:
            return make(*values).SerializeToString()
        found = self._known.get(key)
        if found is None:
            found = make(*values).SerializeToString()
            if len(key) <= _MAX_PART_BYTES:
                if len(self._known) == _MAX_PARTS:
                    del self._known[next(iter(self._known))]
                self._known[key] = found
        return found


_principals, _facts = _Parts(), _Parts()


def encode(question: Question) -> bytes:
    """Gives the request's bytes. The message is filled by hand: json_format takes seven times as long."""
    return encode_all((question,))


def encode_all(questions: Sequence[Question]) -> bytes:
    """Gives the bytes of one request with several questions about one principal; all but the resources is the first one's.

    Parts are made by themselves and joined: what protobuf reads twice of one message, it merges.
    """
    first = questions[0]
    request = CheckResourcesRequest(request_id=first.request_id, include_meta=True)
    for key, value in (first.annotations or {}).items():
        request.request_context.annotations[key].string_value = value
    if first.token:
        request.aux_data.jwt.token = first.token
        request.aux_data.jwt.key_set_id = first.key_set
    parts = [
        request.SerializeToString(),
        _principals.part(_about, first.principal_id, first.roles, first.principal_attributes),
    ]
    for question in questions:
        entry = CheckResourcesRequest.ResourceEntry(actions=(question.action,))
        resource = entry.resource
        resource.kind = question.kind
        resource.id = question.resource_id
        resource.policy_version = question.policy_version
        resource.scope = question.scope
        attributes = resource.attr
        for key, value in question.attributes.items():
            if key != _FACTS:
                _fill(attributes[key], value)
        facts = _facts.part(_with_facts, question.attributes[_FACTS]) if _FACTS in question.attributes else b""
        made = (entry.SerializeToString(), facts)
        parts += (_varint(_RESOURCES), _varint(len(made[0]) + len(made[1])), *made)
    return b"".join(parts)


def _about(principal_id: str, roles: Sequence[str], attributes: Mapping[str, Any]) -> Message:
    request = CheckResourcesRequest()
    principal = request.principal
    principal.id = principal_id
    principal.roles.extend(roles)
    for key, value in attributes.items():
        _fill(principal.attr[key], value)
    return request


def _with_facts(facts: Any) -> Message:
    entry = CheckResourcesRequest.ResourceEntry()
    _fill(entry.resource.attr[_FACTS], facts)
    return entry


def _varint(number: int) -> bytes:
    """Gives a number as protobuf writes it."""
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def _fill(target: Value, value: Any) -> None:
    # Values are what a JSON parser makes, so the exact type tells, three times as fast as isinstance.
    kind = type(value)
    if kind is str:
        target.string_value = value
    elif kind is dict:
        if not value:
            target.struct_value.SetInParent()
        fields = target.struct_value.fields
        for key, item in value.items():
            _fill(fields[key], item)
    elif kind is bool:
        target.bool_value = value
    elif kind is int or kind is float:
        target.number_value = value
    elif value is None:
        target.null_value = 0  # type: ignore[assignment]
    elif kind is list or kind is tuple:
        if not value:
            target.list_value.SetInParent()
        add = target.list_value.values.add
        for item in value:
            _fill(add(), item)
    else:
        raise TypeError(f"{kind.__name__} is no JSON value")
