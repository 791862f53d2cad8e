"""From a record to the line that is written: without secrets, its long strings cut, always encodable."""

from dataclasses import dataclass
from typing import Any

import msgspec

from hookgate.audit.known import Known
from hookgate.audit.record import Record, ServiceRecord
from hookgate.audit.redact import SMALL_BYTES, Redactor


@dataclass(frozen=True, slots=True)
class CleanInput:
    """A tool's input as a record holds it. `of` is the input itself; `has_secrets` says that something was taken out."""

    of: dict[str, Any]
    kept: dict[str, Any]
    cut: tuple[str, ...]
    has_secrets: bool


class Scribe:
    """Writes records as lines of JSON. Most are small and hold nothing that looks like a secret: those are encoded once."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def clean_input(self, tool_input: dict[str, Any]) -> CleanInput:
        """Gives a large call's input without secrets, to be made before the rest of its record is known."""
        cut: list[str] = []
        known = Known()
        kept = self._redactor.redacted({"input": tool_input}, cut, known)["input"]
        return CleanInput(tool_input, kept, tuple(cut), known.has_any)

    def decision(self, record: Record, clean: CleanInput | None = None) -> tuple[bytes, Record]:
        """Gives a decision's line, and the record as it stands there. `clean` is the input's part of it, if that is made already."""
        if record.body_bytes <= SMALL_BYTES:
            line = self._encoded(record)
            if line is not None and not self._redactor.suspects(line):
                return line, record
        else:
            line = self._encoded(msgspec.structs.replace(record, input={}))
            if line is not None and not self._redactor.suspects(line):
                # As a rule it is the tool's input that is large: the rest need not be looked through member by member.
                if clean is None or clean.of is not record.input:
                    clean = self.clean_input(record.input)
                # Facts may repeat a secret of the input, in a form that does not look like one.
                if not clean.has_secrets:
                    cut = tuple(dict.fromkeys((*record.cut, *clean.cut)))
                    record = msgspec.structs.replace(record, input=clean.kept, cut=cut)
                    return msgspec.json.encode(record) + b"\n", record
        told: list[str] = []
        whole = self._redactor.redacted(_plain(record), told)
        whole["cut"] = tuple(dict.fromkeys((*record.cut, *told)))
        return _line(whole), msgspec.convert(whole, Record)

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
