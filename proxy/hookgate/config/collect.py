"""The collector of a fleet's journals."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from hookgate.config.audit import Audit
from hookgate.config.section import Section
from hookgate.config.shippers import AnyShipper, CollectorShipper, PostgresShipper, SqliteShipper
from hookgate.config.tls import ServerTls, tls_faults


class Collect(Section, frozen=True):
    """The collector, which `hookgate collect` runs. It fills the store in `audit.shippers`, and forwards from there to the others
    that stand there."""

    host: Annotated[str, Meta(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 picks a free one.")] = 3596
    tls: ServerTls = ServerTls()
    plaintext: Annotated[
        bool,
        Meta(description="Whether it may listen beyond loopback without `tls`, because something before it does that."),
    ] = False
    certificates: Annotated[
        str,
        Meta(
            pattern="^(|cn|dns|uri)$",
            description="What of a client's certificate (`tls.client_ca`) names its machine, which may then enrol by itself: `cn`, `dns` "
            "or `uri`. Empty: it takes a code.",
        ),
    ] = ""
    records_per_second: Annotated[
        float, Meta(gt=0, description="What one journal may send in the long run; more has to wait.")
    ] = 500.0
    burst_records: Annotated[int, Meta(ge=1, description="What it may send at once after a rest.")] = 20_000
    requests: Annotated[
        int, Meta(ge=1, description="Requests with records that are read at once; further ones are put off.")
    ] = 32
    expected: Annotated[
        str,
        Meta(
            description="File with the machines that there should be (CSV, JSON or YAML), for the metrics; as `hookgate fleet --expected`."
        ),
    ] = ""


def collect_faults(collect: Collect) -> Iterator[str]:
    """Gives one line a fault, each beginning with the key's path."""
    yield from tls_faults(collect.tls, "collect.tls")
    if collect.certificates and not collect.tls.client_ca:
        yield "collect.certificates: has no effect without collect.tls.client_ca"


def collect_parts(audit: Audit) -> tuple[SqliteShipper | PostgresShipper, tuple[AnyShipper, ...]]:
    """Gives what `audit.shippers` means to a collector: the store that it fills, and where it forwards to from there. Raises
    ValueError, with the key's path, where they can't be that."""
    stores = [one for one in audit.shippers if isinstance(one, SqliteShipper | PostgresShipper)]
    if len(stores) != 1:
        raise ValueError(
            f"audit.shippers: a collector fills one store: expected one of type sqlite or postgres, got {len(stores)}"
        )
    if any(isinstance(one, CollectorShipper) for one in audit.shippers):
        raise ValueError("audit.shippers: a collector sends nothing to a collector: take that one out")
    return stores[0], tuple(one for one in audit.shippers if one is not stores[0])
