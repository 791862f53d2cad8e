"""From a record to the line that is written: without secrets, its long strings cut, always encodable."""

import msgspec

from hookgate.audit.known import Known
from hookgate.audit.record import Record, ServiceRecord
from hookgate.audit.redact import SMALL_BYTES, Redactor


class Scribe:
    """Writes records as lines of JSON. Most are small and hold nothing that looks like a secret: those are encoded once."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def decision(self, record: Record) -> tuple[bytes, Record]:
        """Gives a decision's line, and the record as it stands there."""
        if record.body_bytes <= SMALL_BYTES:
            line = self._encoded(record)
            if line is not None and not self._redactor.suspects(line):
                return line, record
        else:
            line = self._encoded(msgspec.structs.replace(record, input={}))
            if line is not None and not self._redactor.suspects(line):
                # As a rule it is the tool's input that is large: the rest need not be looked through member by member.
                found = self._with_clean_input(record)
                if found is not None:
                    return found
        cut: list[str] = []
        clean = self._redactor.redacted(_plain(record), cut)
        clean["cut"] = tuple(dict.fromkeys((*record.cut, *cut)))
        return _line(clean), msgspec.convert(clean, Record)

    def _with_clean_input(self, record: Record) -> tuple[bytes, Record] | None:
        """None where the input holds a secret: facts may repeat it, in a form that does not look like one."""
        cut: list[str] = []
        known = Known()
        clean = self._redactor.redacted({"input": record.input}, cut, known)["input"]
        if known.has_any:
            return None
        record = msgspec.structs.replace(record, input=clean, cut=tuple(dict.fromkeys((*record.cut, *cut))))
        return msgspec.json.encode(record) + b"\n", record

    def service(self, record: ServiceRecord) -> bytes:
        """Gives the line of a record about the service itself."""
        return _line(self._redactor.redacted(_plain(record)))

    @staticmethod
    def _encoded(record: Record) -> bytes | None:
        """Text that has no UTF-8 form goes the long way."""
        try:
            return msgspec.json.encode(record) + b"\n"
        except UnicodeEncodeError:
            return None


def _plain(record: Record | ServiceRecord) -> dict[str, object]:
    found: dict[str, object] = msgspec.to_builtins(record)
    return found


def _line(clean: dict[str, object]) -> bytes:
    return msgspec.json.encode(clean) + b"\n"
