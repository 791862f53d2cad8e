"""A question to the PDP: one CheckResources request (cerbos.request.v1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cerbos.engine.v1.engine_pb2 import Resource
from cerbos.request.v1.request_pb2 import CheckResourcesRequest
from google.protobuf.struct_pb2 import ListValue, Struct, Value


@dataclass(frozen=True, slots=True)
class Question:
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
    token: str = field(default="", repr=False)
    key_set: str = ""


#: Texts from this length on are written by hand: a message would copy them three times.
_LONG_CHARACTERS = 16 * 1024
#: Fields of what leads to such a text, as they stand on the wire: number and kind.
_RESOURCES = bytes((CheckResourcesRequest.RESOURCES_FIELD_NUMBER << 3 | 2,))
_RESOURCE = bytes((CheckResourcesRequest.ResourceEntry.RESOURCE_FIELD_NUMBER << 3 | 2,))
_ATTRIBUTE, _MEMBER = bytes((Resource.ATTR_FIELD_NUMBER << 3 | 2,)), bytes((Struct.FIELDS_FIELD_NUMBER << 3 | 2,))
_ITEM, _TEXT = bytes((ListValue.VALUES_FIELD_NUMBER << 3 | 2,)), bytes((Value.STRING_VALUE_FIELD_NUMBER << 3 | 2,))
_OBJECT, _LIST = bytes((Value.STRUCT_VALUE_FIELD_NUMBER << 3 | 2,)), bytes((Value.LIST_VALUE_FIELD_NUMBER << 3 | 2,))
#: Key and value of a map's entry.
_KEY, _VALUE = bytes((1 << 3 | 2,)), bytes((2 << 3 | 2,))


class _LongTextError(Exception):
    """A message would hold a long text."""


def encode(question: Question) -> bytes:
    """Gives the request's bytes. The message is filled by hand: json_format takes seven times as long."""
    return encode_all((question,))


def encode_all(questions: Sequence[Question]) -> bytes:
    """Gives the bytes of one request with several questions about one principal; all but the resources is the first one's."""
    first = questions[0]
    request = CheckResourcesRequest(request_id=first.request_id, include_meta=True)
    principal = request.principal
    principal.id = first.principal_id
    principal.roles.extend(first.roles)
    for key, value in first.principal_attributes.items():
        _fill(principal.attr[key], value)
    for key, value in (first.annotations or {}).items():
        request.request_context.annotations[key].string_value = value
    if first.token:
        request.aux_data.jwt.token = first.token
        request.aux_data.jwt.key_set_id = first.key_set
    try:
        for question in questions:
            entry = request.resources.add()
            _begin(entry, question)
            attributes = entry.resource.attr
            for key, value in question.attributes.items():
                _fill(attributes[key], value)
    except _LongTextError:
        request.ClearField("resources")
        parts = [request.SerializeToString()]
        for question in questions:
            parts += _sized(_RESOURCES, _entry(question))
        return b"".join(parts)
    return request.SerializeToString()


def _begin(entry: CheckResourcesRequest.ResourceEntry, question: Question) -> None:
    entry.actions.append(question.action)
    resource = entry.resource
    resource.kind = question.kind
    resource.id = question.resource_id
    resource.policy_version = question.policy_version
    resource.scope = question.scope


def _entry(question: Question) -> list[bytes]:
    """Gives the parts of a question's ResourceEntry."""
    entry = CheckResourcesRequest.ResourceEntry()
    _begin(entry, question)
    resource = [entry.resource.SerializeToString()]
    entry.ClearField("resource")
    for key, value in question.attributes.items():
        resource += _sized(_ATTRIBUTE, _member(key, value))
    return [entry.SerializeToString(), *_sized(_RESOURCE, resource)]


def _member(key: str, value: Any) -> list[bytes]:
    """Gives the parts of a map's entry."""
    return [*_sized(_KEY, [key.encode()]), *_sized(_VALUE, _value(value))]


def _value(value: Any) -> list[bytes]:
    """Gives the parts of a Value."""
    try:
        made = Value()
        _fill(made, value)
        return [made.SerializeToString()]
    except _LongTextError:
        if type(value) is str:
            return _sized(_TEXT, [value.encode()])
    parts: list[bytes] = []
    if type(value) is dict:
        for key, item in value.items():
            parts += _sized(_MEMBER, _member(key, item))
        return _sized(_OBJECT, parts)
    for item in value:
        parts += _sized(_ITEM, _value(item))
    return _sized(_LIST, parts)


def _sized(field: bytes, parts: list[bytes]) -> list[bytes]:
    """Gives the parts of a field with a length (base 128, the lowest seven bits first)."""
    size, head = sum(map(len, parts)), bytearray(field)
    while size >= 128:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    return [bytes(head), *parts]


def _fill(target: Value, value: Any) -> None:
    # Values are what a JSON parser makes, so the exact type tells, three times as fast as isinstance.
    kind = type(value)
    if kind is str:
        if len(value) >= _LONG_CHARACTERS:
            raise _LongTextError
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
