"""From the settings to how the journal is written and how long it is kept."""

from hookgate.audit.ledger import Options
from hookgate.audit.retention import Terms
from hookgate.config.audit import Audit


def journal_options(audit: Audit) -> Options:
    """Gives how the journal is to write. Within a bound of disk use a segment takes a quarter of it at most."""
    refuses = audit.disk_full == "refuse"
    return Options(
        sync=audit.durability == "disk",
        segment_bytes=_segment_bytes(audit),
        segment_seconds=audit.segment_seconds,
        disk_bytes=audit.disk_bytes if refuses else None,
    )


def retention_terms(audit: Audit) -> Terms:
    """Gives what may be removed. Room is made before it is needed: for one more segment."""
    drops = audit.disk_full == "drop_oldest" and audit.disk_bytes is not None
    return Terms(
        shippers=shipper_names(audit),
        keep_seconds=None if audit.retention_days is None else audit.retention_days * 86400,
        drop_beyond_bytes=audit.disk_bytes - _segment_bytes(audit) if drops and audit.disk_bytes else None,
    )


def shipper_names(audit: Audit) -> tuple[str, ...]:
    """Gives the names of all shippers, as their cursors bear them."""
    return tuple(shipper.called for shipper in audit.shippers)


def _segment_bytes(audit: Audit) -> int:
    return audit.segment_bytes if audit.disk_bytes is None else min(audit.segment_bytes, audit.disk_bytes // 4)
