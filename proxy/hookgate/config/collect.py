"""The collector of a fleet's journals."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from hookgate.config.section import Section
from hookgate.config.shippers import AnyShipper, CollectorShipper, PostgresShipper, SqliteShipper
from hookgate.config.tls import ServerTls, tls_faults
from hookgate.config.url import postgres_fault


class Collect(Section, frozen=True):
    """The collector, which `hookgate collect` runs: it takes the journals of other Hookgates."""

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
    store: Annotated[
        tuple[SqliteShipper | PostgresShipper, ...],
        Meta(
            max_length=1,
            description="The store that is filled: one shipper of type `sqlite` or `postgres`, of which `retention_days` counts, too.",
        ),
    ] = ()
    forward: Annotated[
        tuple[AnyShipper, ...],
        Meta(
            description="Where records go from the store, as `audit.shippers`; each begins with what comes from then on."
        ),
    ] = ()
    records_per_second: Annotated[
        float, Meta(gt=0, description="What one journal may send in the long run; more has to wait.")
    ] = 500.0
    burst_records: Annotated[int, Meta(ge=1, description="What it may send at once after a rest.")] = 20_000
    requests: Annotated[
        int, Meta(ge=1, description="Requests with records that are read at once; further ones are put off.")
    ] = 32


def collect_faults(collect: Collect) -> Iterator[str]:
    """Gives one line a fault, each beginning with the key's path."""
    yield from tls_faults(collect.tls, "collect.tls")
    if collect.certificates and not collect.tls.client_ca:
        yield "collect.certificates: has no effect without collect.tls.client_ca"
    for one in collect.store:
        if isinstance(one, PostgresShipper) and (fault := postgres_fault(one.url)):
            yield f"collect.store[0].url: {fault}"
    names = [one.called for one in collect.forward]
    for i, shipper in enumerate(collect.forward):
        if isinstance(shipper, CollectorShipper | SqliteShipper | PostgresShipper):
            yield f"collect.forward[{i}].type: a store is filled by collect.store, and a collector by its own machines"
        if names.index(shipper.called) < i:
            yield f"collect.forward[{i}].name: {shipper.called} is given twice: name one of them"
