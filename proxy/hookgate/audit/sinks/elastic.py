"""The form of the bulk API of Elasticsearch and OpenSearch, and what its answers mean, item by item.

Each line is a `create` with the record's id: a line that is there already is answered 409, which is a success.
Source: https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from hookgate.audit.formats import encoded
from hookgate.audit.formats.content import content, flattened, identity, mapping, microseconds, text
from hookgate.audit.shipping.shipment import Shipment, SinkError, SinkRefusedError
from hookgate.audit.sinks.post import Answer, Poster
from hookgate.audit.sinks.taken import Taken
from hookgate.config.shippers import Format

_THERE_ALREADY = 409
_DOCUMENT_AT_FAULT = frozenset((400, 413, 422))
#: Answered 400, but no document's fault.
_NOT_THE_DOCUMENT = frozenset(("invalid_index_name_exception",))


def operation(shipment: Shipment, form: Format, index: str) -> bytes:
    """Gives a line as an operation: two lines.

    A native record is flat (formats.content.flattened): in an index every name in a document becomes a field, and those in a
    tool's input are the caller's choice. `@timestamp` is what data streams ask for.
    """
    record = content(shipment)
    # In milliseconds, and a number even where a damaged record's own time is none.
    document: dict[str, Any] = {"@timestamp": microseconds(record) // 1000}
    document |= msgspec.json.decode(encoded(shipment, form)) if form is Format.OCSF else flattened(record)
    action: dict[str, Any] = {"_id": identity(shipment)}
    if index:
        action["_index"] = index
    return msgspec.json.encode({"create": action}) + b"\n" + msgspec.json.encode(document)


def judge(poster: Poster, answer: Answer, shipments: Sequence[Shipment], taken: Taken) -> None:
    """Returns where all is there. Raises SinkError where some of it may be later, SinkRefusedError where the rest never will;
    what is there is added to `taken`."""
    poster.check(answer)
    statuses = _statuses(poster, answer, len(shipments))
    taken.add(shipment for shipment, (status, _) in zip(shipments, statuses, strict=True) if _is_there(status))
    failed = [(status, error) for status, error in statuses if not _is_there(status)]
    if not failed:
        return
    later = [one for one in failed if not _is_refused(*one)]
    status, error = (later or failed)[0]
    words = poster.said(f"{text(error, 'type')}: {text(error, 'reason')}")
    problem = f"{poster.place} did not take {len(failed)} of {len(shipments)} records: {status}: {words}"
    raise SinkError(problem) if later else SinkRefusedError(problem)


def _statuses(poster: Poster, answer: Answer, count: int) -> list[tuple[int, dict[str, Any]]]:
    try:
        items = [mapping(item, "create") for item in answer.members["items"]]
        statuses = [(int(item["status"]), mapping(item, "error")) for item in items]
    except (KeyError, TypeError, ValueError, AttributeError):
        statuses = []
    if len(statuses) != count:
        raise SinkError(f"{poster.place} does not answer as a bulk API does: let `url` end in /_bulk")
    return statuses


def _is_there(status: int) -> bool:
    return 200 <= status < 300 or status == _THERE_ALREADY


def _is_refused(status: int, error: dict[str, Any]) -> bool:
    return status in _DOCUMENT_AT_FAULT and text(error, "type") not in _NOT_THE_DOCUMENT
