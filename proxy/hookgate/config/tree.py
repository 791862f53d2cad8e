"""The whole configuration as one tree of frozen values; each key carries its own description, bounds and default."""

from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta

from hookgate.config.audit import Audit
from hookgate.config.collect import Collect
from hookgate.config.console import Console
from hookgate.config.identity import Identity
from hookgate.config.section import Section
from hookgate.config.tls import ServerTls
from hookgate.config.traces import Traces
from hookgate.outcome import Fallback, Mode, Outcome

Port = Annotated[int, Meta(ge=0, le=65535)]


class Server(Section, frozen=True):
    """The listener that Claude Code's hooks are sent to."""

    host: Annotated[
        str, Meta(min_length=1, description="Address to listen on. Write the literal 127.0.0.1, not `localhost`.")
    ] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Port to listen on; 0 picks a free one.")] = 3594
    allowed_hosts: Annotated[
        tuple[str, ...],
        Meta(
            description="Names that clients may know it by, without port, besides loopback and the address that it listens on: "
            "those of a service or an ingress. `*` takes any, and with it web pages whose name leads here."
        ),
    ] = ()
    path: Annotated[
        str, Meta(pattern="^/", description="Path that hooks are posted to; a trailing slash is the same.")
    ] = "/ext/claude"
    tls: ServerTls = ServerTls()
    keep_alive_seconds: Annotated[
        float,
        Meta(
            gt=0, description="How long an idle connection is kept. The client does not retry when it is closed first."
        ),
    ] = 3600.0
    first_request_seconds: Annotated[
        float,
        Meta(
            gt=0,
            description="How long a new connection may stay silent, and how long a request's head may take to come.",
        ),
    ] = 5.0
    grace_seconds: Annotated[
        float, Meta(gt=0, description="On SIGTERM: how long running decisions may take to finish.")
    ] = 10.0
    linger_seconds: Annotated[
        float,
        Meta(
            ge=0,
            description="On SIGTERM: how long a connection must have been idle before it is closed, so that a request "
            "already on its way is still answered. The client is told to give idle connections up a second sooner.",
        ),
    ] = 3.0


class Admin(Section, frozen=True):
    """The listener for probes and metrics, apart from the hooks."""

    enabled: Annotated[bool, Meta(description="Whether to serve /livez, /readyz and /metrics.")] = True
    host: Annotated[str, Meta(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Port to listen on; 0 picks a free one.")] = 9464
    allowed_hosts: Annotated[
        tuple[str, ...], Meta(description="As server.allowed_hosts, for those who ask for metrics by a name.")
    ] = ()


class PdpTls(Section, frozen=True):
    """TLS to the PDP."""

    enabled: Annotated[bool, Meta(description="Whether to speak TLS to the PDP.")] = False
    ca: Annotated[
        str | None, Meta(description="File with the CA certificates (PEM); the system's roots if absent.")
    ] = None
    certificate: Annotated[str | None, Meta(description="File with the client certificate (PEM).")] = None
    key: Annotated[str | None, Meta(description="File with the client certificate's key (PEM).")] = None
    server_name: Annotated[
        str | None, Meta(description="Name to expect in the PDP's certificate, where it is not the address's.")
    ] = None


class PdpTransport(StrEnum):
    """What carries the questions to the PDP."""

    AUTO = "auto"
    GRPCIO = "grpcio"
    HTTP2 = "http2"


class Pdp(Section, frozen=True):
    """The Cerbos policy decision point, and what is sent to it."""

    address: Annotated[
        str, Meta(min_length=1, description="gRPC address: `host:port`, `dns:///name:port` or `unix:/path`.")
    ]
    tls: PdpTls = PdpTls()
    transport: Annotated[
        PdpTransport,
        Meta(
            description="What carries the questions: `grpcio`, gRPC's own library, or `http2`, Hookgate's own client, which takes half "
            "the time and falls back to grpcio when it meets what it does not know. `auto`: `http2` for a unix socket or loopback "
            "without TLS, else `grpcio`."
        ),
    ] = PdpTransport.AUTO
    allow_plaintext: Annotated[
        bool, Meta(description="Allow plaintext to a PDP that is neither on loopback nor on a unix socket.")
    ] = False
    policy_version: Annotated[
        str, Meta(pattern="^[0-9A-Za-z_]*$", description="`resource.policy_version`; empty: `default`.")
    ] = ""
    scope: Annotated[str, Meta(description="`resource.scope` of each request.")] = ""
    scopes: Annotated[
        tuple[str, ...], Meta(description="Scopes that X-Cerbos-Scope may name instead; any other is an error.")
    ] = ()
    required_kinds: Annotated[
        tuple[str, ...],
        Meta(description="Events for which NO_MATCH is the error `policy_missing`, e.g. PreToolUse."),
    ] = ()
    max_request_bytes: Annotated[
        int,
        Meta(ge=1024, description="Largest message that the PDP takes (its server.advanced.grpc.maxRecvMsgSizeBytes)."),
    ] = 4 * 1024 * 1024


class Decision(Section, frozen=True):
    """Time and room for decisions."""

    deadline_seconds: Annotated[
        float,
        Meta(gt=0, le=600, description="From headers received to answer. Keep it below the hook's own `timeout`."),
    ] = 2.0
    max_in_flight: Annotated[
        int,
        Meta(
            ge=1,
            description="Decisions under way at once, at most a quarter of them about bodies over 4 KiB; further ones wait "
            "for a slot within their deadline.",
        ),
    ] = 256
    max_in_flight_per_principal: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(
            description="How many of them one verified user may have; where nothing verifies the user, how many come from one "
            "address. null: half of `max_in_flight`."
        ),
    ] = None


class RolloutRule(Section, frozen=True):
    """Whose calls get a mode other than `mode`. Where several rules match, enforce wins."""

    mode: Annotated[Mode, Meta(description="`enforce` or `observe`.")]
    users: Annotated[tuple[str, ...], Meta(description="Principal ids that this rule matches.")] = ()
    roles: Annotated[tuple[str, ...], Meta(description="Roles, any of which this rule matches.")] = ()
    groups: Annotated[tuple[str, ...], Meta(description="Groups of a verified identity, any of which matches.")] = ()
    allow_unverified: Annotated[
        bool,
        Meta(
            description="Let an observe rule match a principal that nothing verifies; anyone can then name themselves into it."
        ),
    ] = False


class Outputs(Section, frozen=True):
    """How a policy's outputs are read."""

    stricter_than_effect: Annotated[
        str,
        Meta(
            pattern="^(deny|drop)$",
            description="An ALLOW with an output that denies: `deny` obeys the output, `drop` obeys the effect.",
        ),
    ] = "deny"
    reason_characters: Annotated[
        int, Meta(ge=200, le=20000, description="Longest reason that is sent; longer ones are cut with a mark.")
    ] = 4000


class Limits(Section, frozen=True):
    """Bounds on what a caller may send."""

    body_bytes: Annotated[int, Meta(ge=1024, description="Largest body that is read.")] = 32 * 1024 * 1024
    bodies_in_flight_bytes: Annotated[
        int, Meta(ge=1024, description="Room for all large bodies together (those over 64 KiB); others wait.")
    ] = 4 * 1024 * 1024
    values: Annotated[int, Meta(ge=100, description="JSON values in a body, counted before it is parsed.")] = 20_000
    tool_response_bytes: Annotated[
        int,
        Meta(
            ge=0,
            description="Largest `tool_response` that is sent to the PDP; a larger one is left out and named in "
            "`facts.truncated`.",
        ),
    ] = 64 * 1024
    header_bytes: Annotated[
        int, Meta(ge=8190, description="Largest header field; all of a request together may be four times as large.")
    ] = 64 * 1024
    connections: Annotated[
        int, Meta(ge=8, description="Open connections; beyond it the one that has been idle longest is closed.")
    ] = 4096
    connections_per_peer: Annotated[
        int,
        Meta(
            ge=8,
            description="The same for connections from one address; loopback, which all share, is not bounded by it.",
        ),
    ] = 1024


class Expectation(Section, frozen=True):
    """A question with a known answer, asked of the live PDP."""

    name: Annotated[str, Meta(min_length=1, description="How it is called in log, metric and readiness.")]
    payload: Annotated[dict[str, Any], Meta(description="A hook payload, as Claude Code would send it.")]
    outcome: Annotated[Outcome, Meta(description="The outcome that is right; `error` never is.")]
    user: Annotated[str, Meta(min_length=1, description="Principal id to ask for.")] = "claude_user"
    roles: Annotated[tuple[str, ...], Meta(min_length=1, description="Roles to ask for.")] = ("claude_user",)


class Canary(Section, frozen=True):
    """Questions with a known answer, asked of the live PDP now and then."""

    interval_seconds: Annotated[float, Meta(gt=0, description="How often it is asked.")] = 30.0
    required: Annotated[
        bool, Meta(description="Whether a PDP without the canary's policy counts as answering wrongly.")
    ] = False
    expect: Annotated[tuple[Expectation, ...], Meta(description="Your own payloads, with their right outcomes.")] = ()


class Log(Section, frozen=True):
    """What the service writes about itself, to standard error."""

    format: Annotated[
        str, Meta(pattern="^(auto|json|console)$", description="`auto`: readable on a terminal, else JSON lines.")
    ] = "auto"
    level: Annotated[str, Meta(pattern="^(debug|info|warning|error)$", description="Least level written.")] = "info"


class Config(Section, frozen=True):
    """Everything that Hookgate can be told. Only `pdp.address` has no default."""

    pdp: Pdp
    server: Server = Server()
    admin: Admin = Admin()
    decision: Decision = Decision()
    mode: Annotated[Mode, Meta(description="`enforce`, or `observe`: answer `{}` always and record the rest.")] = (
        Mode.ENFORCE
    )
    rollout: Annotated[
        tuple[RolloutRule, ...], Meta(description="Exceptions from `mode`, by user, role or group.")
    ] = ()
    on_error: Annotated[
        Fallback, Meta(description="Answer where no decision could be made through the infrastructure's fault.")
    ] = Fallback.DENY
    on_error_events: Annotated[
        tuple[str, ...],
        Meta(
            description="Events that `on_error` and `no_match` hold for, besides PreToolUse, PermissionRequest, "
            "PreModelSwitch and ConfigChange."
        ),
    ] = ()
    exposed_files: Annotated[
        str,
        Meta(
            pattern="^(refuse|warn)$",
            description="What happens at a start when others can write what Hookgate rests on: its configuration, records, keys, the "
            "PDP's socket. `refuse`: it does not start; `warn`: it says so.",
        ),
    ] = "refuse"
    no_match: Annotated[Fallback, Meta(description="Answer where no policy exists for the event.")] = Fallback.PASS
    outputs: Outputs = Outputs()
    identity: Identity = Identity()
    limits: Limits = Limits()
    canary: Canary = Canary()
    audit: Audit = Audit()
    console: Console = Console()
    collect: Collect = Collect()
    log: Log = Log()
    traces: Traces = Traces()
