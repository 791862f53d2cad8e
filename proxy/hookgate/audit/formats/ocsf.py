"""The format `ocsf`: events of the Open Cybersecurity Schema Framework, version 1.8.0, with the profile security_control.

A decision is an API Activity (6003): the tool is the operation, the principal the actor. A call that ran against its decision
is a Detection Finding (2004), start, stop and change of configuration an Application Lifecycle event (6002), whatever else
happens to the service or its journal, checkpoints included, a Base Event (0). Nothing of a record is lost: what the schema has
no attribute for stands in `unmapped`, flat.

Source: https://schema.ocsf.io/1.8.0; tests hold it to the schema as published.
"""

from ipaddress import ip_address
from typing import Any

import msgspec

from hookgate import __version__
from hookgate.audit.formats.content import content, flattened, mapping, microseconds, text, texts
from hookgate.audit.formats.verdict import SEVERITIES, Label, Severity, verdict
from hookgate.audit.shipping.shipment import Shipment
from hookgate.harmless import harmless

VERSION = "1.8.0"
PROFILE = "security_control"

_PRODUCT = {"name": "Hookgate", "vendor_name": "Hookgate", "version": __version__}
_OTHER = 99
_CREATE, _READ, _UPDATE = 1, 2, 3
_ACTIVITIES = {_CREATE: "Create", _READ: "Read", _UPDATE: "Update"}
#: What tools of the client do; of any other tool only its name is known.
_TOOLS = {
    **dict.fromkeys(("Read", "Glob", "Grep", "LS", "NotebookRead", "WebFetch", "WebSearch"), _READ),
    "Write": _CREATE,
    **dict.fromkeys(("Edit", "MultiEdit", "NotebookEdit"), _UPDATE),
}
#: Records about calls that ran against their decision, or of which that is not known.
_FINDINGS = {
    "enforcement_violated": ("A call ran although it was denied", Severity.HIGH),
    "executed_differs": ("A call ran with another input than the one judged", Severity.HIGH),
    "unasked": ("A call ran without being asked", Severity.HIGH),
    "undelivered": ("An answer did not reach its client", Severity.MEDIUM),
}
_LIFECYCLE = {"start": (3, "Start"), "stop": (4, "Stop"), "config_changed": (8, "Update")}
#: How severe other records about the service are; those that are not here inform.
_SERVICE_SEVERITIES = {
    "gap": Severity.HIGH,
    "key_changed": Severity.HIGH,
    "journal_repair": Severity.MEDIUM,
    "policy_lost": Severity.HIGH,
    "canary": Severity.MEDIUM,
    "answer": Severity.MEDIUM,
    "shipper_refused": Severity.MEDIUM,
    "shipper_skipped": Severity.HIGH,
}
#: Members of a record that attributes say in full; all others are repeated in `unmapped`.
_MAPPED = frozenset(
    [
        "seq",
        "version",
        "type",
        "id",
        "time",
        "instance",
        "host",
        "user",
        "roles",
        "remote",
        "session_id",
        "policy",
        "input",
        "reason",
        "labels",
    ]
)


def ocsf(shipment: Shipment) -> bytes:
    """Gives a line as an event. Raises SinkRefusedError where it is no JSON object."""
    record = content(shipment)
    kind = text(record, "type")
    if kind == "decision":
        event = _decision(record)
    elif kind in _FINDINGS:
        event = _finding(record, kind)
    elif kind in _LIFECYCLE:
        event = _lifecycle(record, kind)
    else:
        event = _service(record, kind)
    unmapped = flattened({name: value for name, value in record.items() if name not in _MAPPED})
    return msgspec.json.encode({**event, "metadata": _metadata(shipment, record), "unmapped": unmapped})


def _event(
    record: dict[str, Any], *, category: Label, event_class: Label, activity: Label, severity: Severity, message: str
) -> dict[str, Any]:
    """What every class has."""
    return {
        "category_uid": category.id,
        "category_name": category.name,
        "class_uid": event_class.id,
        "class_name": event_class.name,
        "activity_id": activity.id,
        "activity_name": activity.name,
        "type_uid": event_class.id * 100 + activity.id,
        "type_name": f"{event_class.name}: {activity.name}",
        "severity_id": int(severity),
        "severity": SEVERITIES[severity],
        "time": microseconds(record) // 1000,
        "message": message,
    }


def _metadata(shipment: Shipment, record: dict[str, Any]) -> dict[str, Any]:
    reporter = {"name": "hookgate", "uid": shipment.instance, "hostname": text(record, "host")}
    found = {
        "version": VERSION,
        "product": _PRODUCT,
        "profiles": [PROFILE],
        "uid": text(record, "id") or shipment.hash,
        "sequence": shipment.seq,
        "event_code": text(record, "event") or text(record, "type"),
        "log_name": "hookgate",
        "log_version": str(record.get("version", "")),
        "original_time": text(record, "time"),
        "correlation_uid": text(record, "tool_use_id") or text(mapping(record, "detail"), "decision"),
        "reporter": _said(reporter),
        "is_truncated": bool(record.get("cut")) or None,
        "labels": [f"{name}:{value}" for name, value in mapping(record, "labels").items()],
    }
    return _said(found)


def _decision(record: dict[str, Any]) -> dict[str, Any]:
    found = verdict(record)
    tool, user = text(record, "tool"), text(record, "user")
    operation = tool or text(record, "event") or "unknown"
    event = _event(
        record,
        category=Label(6, "Application Activity"),
        event_class=Label(6003, "API Activity"),
        activity=_activity(operation),
        severity=found.severity,
        message=harmless(f"{text(record, 'outcome')}: {operation} by {user or 'nobody known'}", 300),
    )
    event |= {
        "action_id": found.action.id,
        "action": found.action.name,
        "disposition_id": found.disposition.id,
        "disposition": found.disposition.name,
        "status_id": found.status.id,
        "status": found.status.name,
        "status_code": text(record, "outcome"),
        "actor": _actor(record, user),
        "api": _api(record, operation),
        "src_endpoint": _endpoint(text(record, "remote")),
        "duration": _milliseconds(record.get("total_seconds")),
    }
    optional = {
        "status_detail": text(record, "reason") or text(record, "error_detail"),
        "authorizations": _authorizations(record),
        "policy": _policy(record),
        "resources": _resources(record),
    }
    return event | _said(optional)


def _activity(operation: str) -> Label:
    activity = _TOOLS.get(operation, _OTHER)
    return Label(activity, _ACTIVITIES.get(activity, operation))


def _actor(record: dict[str, Any], user: str) -> dict[str, Any]:
    found: dict[str, Any] = {"app_name": "Claude Code"}
    if user:
        found["user"] = {"name": user, "uid": user, "type_id": 1, "type": "User"}
        if roles := texts(record, "roles"):
            found["user"]["groups"] = [{"name": role, "type": "role"} for role in roles]
    if session := text(record, "session_id"):
        found["session"] = {"uid": session}
    return found


def _api(record: dict[str, Any], operation: str) -> dict[str, Any]:
    request = {"uid": text(record, "tool_use_id") or text(record, "id")}
    if given := mapping(record, "input"):
        # As text: names in it are the caller's, and would be fields in whatever indexes this.
        request["data"] = msgspec.json.encode(given).decode()
    found: dict[str, Any] = {"operation": operation, "request": request}
    if event := text(record, "event"):
        found["group"] = {"name": event, "type": "hook event"}
    if server := text(record, "mcp_server"):
        found["service"] = {"name": server}
    if error := text(record, "error"):
        found["response"] = {"error": error, "error_message": text(record, "error_detail") or error}
    return found


def _endpoint(remote: str) -> dict[str, Any]:
    try:
        # A zone (`%eth0`) names an interface of the machine that recorded it.
        return {"ip": str(ip_address(remote.partition("%")[0]))}
    except ValueError:
        return {"name": remote or "unknown"}


def _policy(record: dict[str, Any]) -> dict[str, Any]:
    name = text(record, "policy")
    if not name:
        return {}
    found: dict[str, Any] = {"name": name, "uid": name, "is_applied": text(record, "mode") == "enforce"}
    if version := text(record, "policy_version"):
        found["version"] = version
    return found


def _authorizations(record: dict[str, Any]) -> list[dict[str, Any]]:
    effect, policy = text(record, "effect"), _policy(record)
    return [_said({"decision": effect, "policy": policy})] if effect else []


def _resources(record: dict[str, Any]) -> list[dict[str, Any]]:
    """What the call names: paths, as the facts tell, and an address."""
    paths = mapping(record, "facts").get("paths")
    named = [text(item, "path") for item in paths if isinstance(item, dict)] if isinstance(paths, list) else []
    found = [{"name": path, "type": "file"} for path in named if path]
    if url := text(mapping(record, "input"), "url"):
        found.append({"name": url, "type": "url"})
    return found


def _finding(record: dict[str, Any], kind: str) -> dict[str, Any]:
    title, severity = _FINDINGS[kind]
    detail = mapping(record, "detail")
    event = _event(
        record,
        category=Label(2, "Findings"),
        event_class=Label(2004, "Detection Finding"),
        activity=Label(_CREATE, "Create"),
        severity=severity,
        message=harmless(f"{title}: {text(detail, 'tool') or 'tool not known'}", 300),
    )
    decision = text(detail, "decision")
    info: dict[str, Any] = {"uid": text(record, "id") or kind, "title": title, "types": [kind]}
    if decision:
        info["related_events"] = [{"uid": decision, "type_uid": 600300, "type": "API Activity"}]
    ran = kind != "undelivered"
    return event | {
        "finding_info": info,
        "status_id": 1,
        "status": "New",
        "is_alert": True,
        "action_id": 3 if ran else 0,
        "action": "Observed" if ran else "Unknown",
        "disposition_id": 15 if ran else 0,
        "disposition": "Detected" if ran else "Unknown",
    }


def _lifecycle(record: dict[str, Any], kind: str) -> dict[str, Any]:
    event = _event(
        record,
        category=Label(6, "Application Activity"),
        event_class=Label(6002, "Application Lifecycle"),
        activity=Label(*_LIFECYCLE[kind]),
        severity=Severity.INFORMATIONAL,
        message=f"Hookgate: {kind}",
    )
    return event | {"app": _PRODUCT, "status_id": 1, "status": "Success"}


def _service(record: dict[str, Any], kind: str) -> dict[str, Any]:
    event = _event(
        record,
        category=Label(0, "Uncategorized"),
        event_class=Label(0, "Base Event"),
        activity=Label(_OTHER, harmless(kind, 100) or "unknown"),
        severity=_SERVICE_SEVERITIES.get(kind, Severity.INFORMATIONAL),
        message=harmless(f"Hookgate: {kind}", 300),
    )
    return event | {"status_id": 0, "status": "Unknown"}


def _milliseconds(seconds: object) -> int:
    return round(seconds * 1000) if isinstance(seconds, int | float) and abs(seconds) < 1e9 else 0


def _said(found: dict[str, Any]) -> dict[str, Any]:
    """Leaves out what says nothing."""
    return {name: value for name, value in found.items() if value not in ("", [], {}, None)}
