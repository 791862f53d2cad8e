"""Where records are shipped to: one kind of section a sink, told apart by `type`."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, field

from hookgate.config.section import Days, Section


class Format(StrEnum):
    """What a message looks like."""

    #: The journal's line as it stands there.
    NATIVE = "native"
    #: An OCSF API Activity (6003) with the security_control profile.
    OCSF = "ocsf"


class HttpBody(StrEnum):
    """How records are put into the body of an HTTP request."""

    NDJSON = "ndjson"
    ARRAY = "array"
    SPLUNK_HEC = "splunk_hec"
    ELASTIC_BULK = "elastic_bulk"


Secret = Annotated[str, Meta(extra={"secret": True})]
_Name = Annotated[
    str,
    Meta(
        pattern="^[a-z0-9_-]{0,40}$",
        description="What its cursor and its metrics are called; `type` if it is empty. Another name begins at the "
        "journal's first record.",
    ),
]
_Format = Annotated[
    Format,
    Meta(description="`native`: the journal's lines. `ocsf`: API Activity (6003) of the Open Cybersecurity Schema."),
]


class Shipper(Section, frozen=True, kw_only=True, tag_field="type"):
    """What all of them have."""

    name: _Name = ""
    batch_records: Annotated[int, Meta(ge=1, le=10_000, description="Most records that are sent together.")] = 500
    timeout_seconds: Annotated[
        float, Meta(gt=0, description="How long the sink may take for a batch before it is tried again.")
    ] = 10.0

    @property
    def called(self) -> str:
        """What its cursor and its metrics are called."""
        return self.name or str(self.__struct_config__.tag)


class StdoutShipper(Shipper, frozen=True, kw_only=True, tag="stdout"):
    """JSON lines on standard output of the shipping process, for a log collector."""

    format: _Format = Format.NATIVE


class FileShipper(Shipper, frozen=True, kw_only=True, tag="file"):
    """JSON lines in a file that is rotated."""

    path: Annotated[str, Meta(min_length=1, description="The file; older ones beside it end in .1, .2, …")]
    max_bytes: Annotated[int, Meta(ge=65536, description="Size at which the file is rotated.")] = 256 * 1024 * 1024
    keep_files: Annotated[int, Meta(ge=1, description="How many older files are kept.")] = 8
    format: _Format = Format.NATIVE


class SqliteShipper(Shipper, frozen=True, kw_only=True, tag="sqlite"):
    """The store that `hookgate audit search` and `report` read, as one file."""

    path: Annotated[str, Meta(description="The file; empty for `store.sqlite` in `audit.directory`.")] = ""
    retention_days: Annotated[
        Days | None, Meta(description="How long its rows are kept; null keeps them for ever.")
    ] = None


class PostgresShipper(Shipper, frozen=True, kw_only=True, tag="postgres"):
    """The store in PostgreSQL, which several Hookgates may share. Needs the extra `hookgate[postgres]`."""

    url: Annotated[
        Secret,
        Meta(
            pattern="^postgres(ql)?://",
            description="`postgresql://user:password@host:5432/database`; take the password from a variable.",
        ),
    ]
    schema: Annotated[
        str, Meta(pattern="^[a-z_][a-z0-9_]{0,40}$", description="The schema of its tables; made if it is missing.")
    ] = "hookgate"
    retention_days: Annotated[
        Days | None, Meta(description="How long its rows are kept, by whole days; null keeps them for ever.")
    ] = None


class OtlpShipper(Shipper, frozen=True, kw_only=True, tag="otlp"):
    """Log records to an OpenTelemetry collector, over HTTP."""

    url: Annotated[
        Secret,
        Meta(pattern="^https?://", description="The collector's logs endpoint: `http://127.0.0.1:4318/v1/logs`."),
    ]
    headers: Annotated[dict[str, Secret], Meta(description="Headers that every request carries.")] = field(
        default_factory=dict
    )
    ca: Annotated[str | None, Meta(description="PEM file of the authorities to trust instead of the system's.")] = None
    format: _Format = Format.NATIVE


class KafkaShipper(Shipper, frozen=True, kw_only=True, tag="kafka"):
    """Messages to a Kafka topic, keyed by session. Needs the extra `hookgate[kafka]`."""

    brokers: Annotated[tuple[str, ...], Meta(min_length=1, description="`host:port` of some of the brokers.")]
    topic: Annotated[str, Meta(min_length=1, description="The topic; it must be there.")]
    tls: Annotated[bool, Meta(description="Whether to speak TLS with the brokers.")] = False
    ca: Annotated[str | None, Meta(description="PEM file of the authorities to trust instead of the system's.")] = None
    username: Annotated[str, Meta(description="Name for SASL; empty for none.")] = ""
    password: Annotated[Secret, Meta(description="Password for SASL.")] = ""
    mechanism: Annotated[
        str, Meta(pattern="^(PLAIN|SCRAM-SHA-256|SCRAM-SHA-512)$", description="How SASL logs in.")
    ] = "SCRAM-SHA-512"
    format: _Format = Format.NATIVE


class HttpShipper(Shipper, frozen=True, kw_only=True, tag="http"):
    """POST requests to any collector, Splunk's HTTP Event Collector, or Elasticsearch's bulk API."""

    url: Annotated[Secret, Meta(pattern="^https?://", description="Where to post to.")]
    body: Annotated[HttpBody, Meta(description="How records stand in the body.")] = HttpBody.NDJSON
    headers: Annotated[
        dict[str, Secret], Meta(description="Headers that every request carries, such as `Authorization`.")
    ] = field(default_factory=dict)
    ca: Annotated[str | None, Meta(description="PEM file of the authorities to trust instead of the system's.")] = None
    gzip: Annotated[bool, Meta(description="Whether bodies are compressed.")] = True
    index: Annotated[
        str, Meta(description="Elasticsearch's index or data stream, or Splunk's index; empty for the default.")
    ] = ""
    format: _Format = Format.NATIVE


class CollectorShipper(Shipper, frozen=True, kw_only=True, tag="collector"):
    """A collector, which takes the journals of many Hookgates (`hookgate collect`)."""

    url: Annotated[str, Meta(pattern="^https?://", description="The collector: `https://collector.example.com:3596`.")]
    token_file: Annotated[
        str,
        Meta(description="File with the token that `hookgate enroll` wrote; empty: the certificate says who it is."),
    ] = ""
    ca: Annotated[str | None, Meta(description="PEM file of the authorities to trust instead of the system's.")] = None
    certificate: Annotated[str, Meta(description="File with a client certificate (PEM); empty for none.")] = ""
    key: Annotated[str, Meta(description="File with its key (PEM, without a passphrase).")] = ""


AnyShipper = (
    SqliteShipper
    | PostgresShipper
    | StdoutShipper
    | FileShipper
    | OtlpShipper
    | KafkaShipper
    | HttpShipper
    | CollectorShipper
)
