"""The JSON Schema of records: `record.schema.json` beside this module, made of the types that are written."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import msgspec

from hookgate.audit.record import VERSION, CallRecord, DroppedRecord, OutputRecord, Record, ServiceRecord

FILE_NAME = "record.schema.json"

_TEXT, _WHOLE, _TRUTH = {"type": "string"}, {"type": "integer"}, {"type": ["boolean", "null"]}
_TEXTS, _OBJECT = {"type": "array", "items": _TEXT}, {"type": "object"}
_COUNTS = {"type": "object", "additionalProperties": _WHOLE}
_HASH = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_VIOLATION = {"decision": _TEXT, "found_by": _TEXT, "tool": _TEXT}
_LOOKER = {"user": _TEXT, "remote": _TEXT}
_SKIPPED = {"shipper": _TEXT, "why": _TEXT, "first_seq": _WHOLE, "last_seq": _WHOLE}

#: What `detail` holds, by the type of a record about the service.
DETAILS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "chain_start": {"instance": _TEXT, "key_id": _TEXT, "public_key": _HASH},
    "key_changed": {"previous_key_id": _TEXT, "key_id": _TEXT, "public_key": _HASH, "signature": _TEXT},
    "journal_repair": {"cut_bytes": _WHOLE, "damaged_lines": _WHOLE},
    "gap": {"since": _TEXT, "until": _TEXT, "answers": _COUNTS, "records": _COUNTS},
    "checkpoint": {"instance": _TEXT, "key_id": _TEXT, "covers_seq": _WHOLE, "covers_hash": _HASH, "signature": _TEXT},
    "retention": {
        "first_seq": _WHOLE,
        "last_seq": _WHOLE,
        "last_hash": _HASH,
        "segments": _WHOLE,
        "bytes": _WHOLE,
        "why": _TEXT,
        "missed": _COUNTS,
        "key_id": _TEXT,
        "signature": _TEXT,
    },
    "start": {"version": _TEXT, "mode": _TEXT, "config_digest": _HASH},
    "config_changed": {
        "changed": _TEXTS,
        "waits_for_restart": _TEXTS,
        "mode": _TEXT,
        "config_digest": _HASH,
        "previous_digest": _TEXT,
    },
    "config_refused": {"settings": _TEXTS},
    "tls_refused": {"remote": _TEXT, "reason": _TEXT, "untold": _WHOLE},
    "stop": {"unanswered": _WHOLE},
    "canary": {"state": _TEXT, "faults": _TEXTS, "strict": _TRUTH, "policies": _TEXT},
    "policy_lost": {"event": _TEXT, "scope": _TEXT},
    "undelivered": {"decision": _TEXT},
    "answer": {"decision": _TEXT, "error": _TEXT, "answer": _OBJECT},
    "enforcement_violated": _VIOLATION,
    "executed_differs": _VIOLATION,
    "unasked": {"found_by": _TEXT, "tool": _TEXT, "tool_use_id": _TEXT},
    "shipper_refused": {
        "shipper": _TEXT,
        "record": _TEXT,
        "seq": _WHOLE,
        "hash": _HASH,
        "shipped": _TEXT,
        "error": _TEXT,
    },
    "shipper_skipped": _SKIPPED,
    "shipper_restarted": _SKIPPED,
    "console_viewed": {
        **_LOOKER,
        "role": _TEXT,
        "by": _TEXT,
        "page": _TEXT,
        "asked": {"type": "object", "additionalProperties": _TEXT},
        "records": _WHOLE,
    },
    "fleet_code": {"name": _TEXT},
    "fleet_enrolled": {"journal": _TEXT, "name": _TEXT, "key_id": _TEXT, "how": _TEXT},
    "fleet_revoked": {"journal": _TEXT, "name": _TEXT},
    "fleet_finding": {"journal": _TEXT, "name": _TEXT, "kind": _TEXT, "seq": _WHOLE, "what": _TEXT},
    "console_taken": {**_LOOKER, "what": _TEXT, "asked": {"type": "object", "additionalProperties": _TEXT}},
    "console_login": {**_LOOKER, "role": _TEXT, "by": _TEXT},
    "console_logout": {**_LOOKER, "by": _TEXT},
    "console_refused": {**_LOOKER, "why": _TEXT},
}
_PLACE = {
    "seq": {"type": "integer", "minimum": 1, "description": "The line's number in the chain."},
    "prev": {**_HASH, "description": "The hash of the line before."},
    "hash": {**_HASH, "description": "The line's own hash."},
}
_PARTS = {"Record": Record, "OutputRecord": OutputRecord, "DroppedRecord": DroppedRecord, "CallRecord": CallRecord}


def text() -> str:
    """Gives the schema as it is in the package."""
    return files("hookgate.audit").joinpath(FILE_NAME).read_text(encoding="utf-8")


def schema(meanings: Mapping[str, str], services: Mapping[str, str]) -> dict[str, Any]:
    """Gives the schema (2020-12) of a line of the journal, with what each field of a decision means, and each type of record
    about the service."""
    _, found = msgspec.json.schema_components(_PARTS.values())
    decision = found.pop("Record")
    decision["title"], decision["description"] = "decision", "One hook request."
    for name, field in decision["properties"].items():
        field.pop("default", None)
        field["description"] = meanings[name]
    _is_whole_record(decision, "decision")
    defs = {"decision": decision, **found}
    for kind in DETAILS:
        defs[kind] = _service(kind, services.get(kind, ""))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Hookgate's records",
        "description": "A line of the journal. Fields and types that are not known are to be passed over: they may be added, "
        "and `version` is raised only when one changes its meaning or goes away.",
        "type": "object",
        "oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in ("decision", *DETAILS)],
        "$defs": defs,
    }


def _service(kind: str, meaning: str) -> dict[str, Any]:
    names = ServiceRecord.__struct_fields__
    made: dict[str, Any] = {
        "title": kind,
        "description": meaning,
        "type": "object",
        "properties": {name: dict(_TEXT) for name in names},
    }
    fields = {name: dict(expected) for name, expected in DETAILS[kind].items()}
    made["properties"]["detail"] = {"type": "object", "properties": fields, "required": list(fields)}
    _is_whole_record(made, kind)
    return made


def _is_whole_record(made: dict[str, Any], kind: str) -> None:
    """Every line has every field, and its place in the chain."""
    made["properties"] = {**_PLACE, **made["properties"]}
    made["properties"]["version"] = {"const": VERSION}
    made["properties"]["type"] = {"const": kind}
    made["required"] = list(made["properties"])
