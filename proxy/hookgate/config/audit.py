"""What is recorded, how it is written, how long it is kept, and where it is shipped to."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from hookgate.config.section import Days, Section
from hookgate.config.shippers import AnyShipper, SqliteShipper


class Level(StrEnum):
    """How much of a call's content is recorded."""

    #: None of it: who, what tool, why, how long, sizes and digests.
    METADATA = "metadata"
    #: The tool's input, without secrets; no prompt, no response.
    REDACTED = "redacted"
    #: Also prompts, the assistant's text and tool responses, without secrets.
    FULL = "full"


class LevelRule(Section, frozen=True, kw_only=True):
    """How much is recorded of some calls."""

    events: Annotated[tuple[str, ...], Meta(description="Events that it holds for; empty for all.")] = ()
    tools: Annotated[
        tuple[str, ...], Meta(description="Tools that it holds for, `*` stands for any text; empty for all.")
    ] = ()
    level: Annotated[Level, Meta(description="`metadata`, `redacted` or `full`.")]


class SecretForm(Section, frozen=True, kw_only=True):
    """What a kind of secret of yours looks like."""

    kind: Annotated[str, Meta(pattern="^[a-z0-9_]{1,40}$", description="What stands in the mark that replaces it.")]
    pattern: Annotated[
        str,
        Meta(min_length=1, description="A regular expression (RE2); its first group, or all of it, is replaced."),
    ]


class Redaction(Section, frozen=True, kw_only=True):
    """Secrets of your own that are taken out of records, besides those that Hookgate knows."""

    names: Annotated[
        tuple[str, ...], Meta(description="Names of fields whose value is secret, in any case; parts of names count.")
    ] = ()
    forms: Annotated[tuple[SecretForm, ...], Meta(description="Forms of secrets.")] = ()


class Audit(Section, frozen=True, kw_only=True):
    """What is recorded, and where records go."""

    directory: Annotated[
        str, Meta(min_length=1, description="Directory of the journal; made with mode 0700 if it is missing.")
    ] = "/var/lib/hookgate/audit"
    required: Annotated[
        bool,
        Meta(description="Whether a record that can't be written makes the decision `error: audit_unavailable`."),
    ] = True
    durability: Annotated[
        str,
        Meta(
            pattern="^(process|disk)$",
            description="What a record survives that is written before its answer. `process`: a kill of Hookgate; it is "
            "flushed to the disk 100 ms later. `disk`: a power cut, too; each decision waits for the disk.",
        ),
    ] = "process"
    segment_bytes: Annotated[
        int, Meta(ge=65536, description="Size at which the journal goes on in another file (a segment).")
    ] = 64 * 1024 * 1024
    segment_seconds: Annotated[
        float, Meta(ge=60, description="Age at which the journal goes on in another segment.")
    ] = 86400.0
    retention_days: Annotated[
        Days | None,
        Meta(
            description="How long a segment is kept after every shipper has all of it; null keeps segments for ever.",
        ),
    ] = 90.0
    disk_bytes: Annotated[
        Annotated[int, Meta(ge=1024 * 1024)] | None,
        Meta(description="Most room that segments may take; null for no bound but the disk's."),
    ] = None
    disk_full: Annotated[
        str,
        Meta(
            pattern="^(refuse|drop_oldest)$",
            description="What happens at `disk_bytes` when nothing may be removed yet. `refuse`: records can't be written, "
            "so calls are denied. `drop_oldest`: the oldest segment goes, with a signed record of what it held.",
        ),
    ] = "refuse"
    levels: Annotated[
        tuple[LevelRule, ...],
        Meta(description="How much is recorded of which calls; the first that matches counts, else `redacted`."),
    ] = ()
    redaction: Redaction = Redaction()
    detect_unasked: Annotated[
        bool,
        Meta(
            description="Whether a call that ran without being asked is a record `unasked`. Switch it off where several "
            "Hookgates take turns in answering one client."
        ),
    ] = True
    shippers: Annotated[tuple[AnyShipper, ...], Meta(description="Where records are shipped to, each by itself.")] = (
        SqliteShipper(),
    )
    supervise: Annotated[
        bool,
        Meta(
            description="Whether `hookgate serve` starts `hookgate ship` and keeps it running; false where it runs in a "
            "container of its own."
        ),
    ] = True
