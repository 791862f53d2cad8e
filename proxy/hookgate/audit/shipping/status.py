"""How the shippers are doing, as the shipping process tells the service each second."""

import msgspec


class ShipperStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One shipper, since its process has started."""

    name: str
    #: Records that its sink has for good.
    shipped: int = 0
    #: Attempts that failed and were, or will be, made again.
    failures: int = 0
    #: Records that the sink would not take as they are; they were shipped as metadata and digest, or else count as dropped.
    refused: int = 0
    #: Records that were not shipped at all: refused even so, damaged, or removed before it got to them.
    dropped: int = 0
    #: How far it is behind the journal's end, and the age of the oldest record that it has not shipped.
    lag_records: int = 0
    lag_seconds: float = 0.0
    #: Since the sink took something last; negative where it has not yet.
    last_success_seconds: float = -1.0
    #: What it failed with last, without secrets; empty where the last attempt went well.
    error: str = ""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """All shippers of a process."""

    shippers: tuple[ShipperStatus, ...] = ()
