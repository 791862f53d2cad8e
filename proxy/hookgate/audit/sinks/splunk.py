"""The form of Splunk's HTTP Event Collector, and what its answers mean.

Source: https://docs.splunk.com/Documentation/Splunk/latest/Data/TroubleshootHTTPEventCollector
"""

from typing import Any

import msgspec

from hookgate.audit.formats import encoded
from hookgate.audit.formats.content import content, identity, microseconds, text
from hookgate.audit.shipping.shipment import Shipment, SinkError, SinkRefusedError
from hookgate.audit.sinks.post import Answer, Poster
from hookgate.config.shippers import Format

#: An event in the body is at fault: no data, invalid format, no or a blank event, indexed fields. Other codes speak of the token,
#: the index, the channel or the server.
_EVENT_AT_FAULT = frozenset((5, 6, 12, 13, 15))
_SUCCESS = 0


def event(shipment: Shipment, form: Format, index: str) -> bytes:
    """Gives a line as an event. The collector knows no identity: the indexed field `record_id` is there to `dedup` by."""
    record = content(shipment)
    envelope: dict[str, Any] = {
        "time": microseconds(record) / 1_000_000,
        "source": "hookgate",
        "sourcetype": "hookgate:ocsf" if form is Format.OCSF else "hookgate:audit",
        "event": msgspec.Raw(encoded(shipment, form)),
        "fields": {
            "record_id": identity(shipment),
            "record_instance": shipment.instance,
            "record_seq": shipment.seq,
        },
    }
    if host := text(record, "host"):
        envelope["host"] = host
    if index:
        envelope["index"] = index
    return msgspec.json.encode(envelope)


def judge(poster: Poster, answer: Answer) -> None:
    """Returns where the collector has taken the events. Raises SinkRefusedError where one of them is at fault, else SinkError."""
    found = answer.members
    code, said = found.get("code"), text(found, "text")
    if 200 <= answer.status < 300:
        if code in (_SUCCESS, None):
            return
        words = f"{poster.place} answers {answer.status} with code {code}: {poster.said(said)}"
        raise SinkRefusedError(words) if code in _EVENT_AT_FAULT else SinkError(words)
    if answer.status == 400 and code is not None and code not in _EVENT_AT_FAULT:
        raise SinkError(
            f"{poster.place} answers 400 with code {code}: {poster.said(said)} (mend `index`, `url` or the token)"
        )
    poster.check(answer)
