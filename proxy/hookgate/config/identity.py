"""Who asks: the sources of identity, in the order in which they are tried."""

from typing import Annotated

from msgspec import Meta, field

from hookgate.config.section import Section

Names = tuple[str, ...]


class Roles(Section, frozen=True, kw_only=True):
    """How what a source knows becomes roles."""

    static: Annotated[Names, Meta(description="Roles that everybody has who comes by this source.")] = ()
    map: Annotated[dict[str, Names], Meta(description="Group to roles, as the source spells the group.")] = field(
        default_factory=dict
    )
    pass_unmapped: Annotated[
        bool, Meta(description="Whether a group that `map` does not name is a role of its own name.")
    ] = False
    from_header: Annotated[
        bool,
        Meta(
            description="Whether X-Claude-User-Roles adds roles. Nothing verifies those: leave it off where they count."
        ),
    ] = False


class Source(Section, frozen=True, kw_only=True, tag_field="type"):
    """What all of them have."""


class Verified(Source, frozen=True, kw_only=True):
    """A source that somebody vouches for."""

    roles: Roles = Roles()


class PeerSource(Verified, frozen=True, kw_only=True, tag="peer"):
    """The operating system's user at the other end of a connection on loopback. Linux only."""

    users: Annotated[
        dict[str, str],
        Meta(description="Name or number of a user of this machine to principal id; by itself the name is the id."),
    ] = field(default_factory=dict)
    mapped_only: Annotated[bool, Meta(description="Whether a user that `users` does not name is refused.")] = False


class MtlsSource(Verified, frozen=True, kw_only=True, tag="mtls"):
    """The client's certificate. Needs `server.tls.client_ca`."""

    user_from: Annotated[
        str,
        Meta(
            pattern="^(cn|email|uri)$",
            description="Where the user stands: `cn` in the subject's common name, `email` or `uri` in the only subject "
            "alternative name of that kind (a SPIFFE id is a URI).",
        ),
    ] = "cn"


class TokenSource(Verified, frozen=True, kw_only=True, tag="token"):
    """Static bearer tokens, made by `hookgate token create`."""

    file: Annotated[str, Meta(min_length=1, description="The file with the tokens' digests; a change counts at once.")]
    header: Annotated[str, Meta(pattern="^[A-Za-z0-9-]+$", description="The header that holds `Bearer TOKEN`.")] = (
        "Authorization"
    )


class JwtIssuer(Section, frozen=True, kw_only=True):
    """Whose tokens are believed, and how they are read."""

    issuer: Annotated[str, Meta(min_length=1, description="What the claim `iss` must be, to the letter.")]
    audiences: Annotated[Names, Meta(min_length=1, description="Audiences, one of which the claim `aud` must name.")]
    jwks_url: Annotated[
        str, Meta(pattern="^(|https?://.+)$", description="Where the issuer's keys are; https, or http on loopback.")
    ] = ""
    jwks_file: Annotated[str, Meta(description="A file with them instead; a change counts at once.")] = ""
    ca: Annotated[
        str, Meta(description="PEM file of the authorities that vouch for `jwks_url`; else the system's.")
    ] = ""
    token_file: Annotated[
        str,
        Meta(description="File with a bearer token for `jwks_url`, read at each fetch (Kubernetes' API wants one)."),
    ] = ""
    algorithms: Annotated[
        tuple[
            Annotated[
                str,
                Meta(pattern="^(RS256|RS384|RS512|PS256|PS384|PS512|ES256|ES384|ES512|Ed25519|EdDSA)$"),
            ],
            ...,
        ],
        Meta(min_length=1, description="Signatures that are believed; all are of public keys."),
    ] = ("RS256", "ES256")
    leeway_seconds: Annotated[float, Meta(ge=0, le=600, description="How far the issuer's clock may be off.")] = 30.0
    refresh_seconds: Annotated[
        float,
        Meta(ge=30, description="How often keys are fetched. One that is not known is looked for at most every 30 s."),
    ] = 300.0
    stale_seconds: Annotated[
        float, Meta(ge=0, description="How long keys count after the last fetch that went well.")
    ] = 86400.0
    timeout_seconds: Annotated[float, Meta(gt=0, le=60, description="How long a fetch may take.")] = 5.0
    user_claim: Annotated[
        str, Meta(min_length=1, description="Path of the claim that names the user, its parts separated by dots.")
    ] = "sub"
    groups_claim: Annotated[
        str, Meta(description="Path of the claim with the groups, which `roles` makes roles of; empty for none.")
    ] = ""
    claims: Annotated[
        Names, Meta(description="Paths of claims that policies and records are given, as `claims`; no others are.")
    ] = ()
    roles: Roles = Roles()
    send_to_pdp: Annotated[
        bool,
        Meta(description="Whether Cerbos is handed the token itself, as `aux_data.jwt`; its `auxData` must know it."),
    ] = False
    key_set: Annotated[str, Meta(description="Cerbos's key set for it, where it has several.")] = ""


class JwtSource(Source, frozen=True, kw_only=True, tag="jwt"):
    """Bearer tokens (JWT) that an identity provider signs."""

    issuers: Annotated[tuple[JwtIssuer, ...], Meta(min_length=1, description="Whose tokens are believed.")]
    header: Annotated[str, Meta(pattern="^[A-Za-z0-9-]+$", description="The header that holds `Bearer TOKEN`.")] = (
        "Authorization"
    )


class HeadersSource(Source, frozen=True, kw_only=True, tag="headers"):
    """X-Claude-User and X-Claude-User-Roles, which nothing verifies."""

    trusted_networks: Annotated[
        Names, Meta(description="Networks (`10.0.0.0/8`) that they are taken from; empty for all.")
    ] = ()


class DefaultSource(Source, frozen=True, kw_only=True, tag="default"):
    """`default_user` with `default_role`, whoever it is."""


AnySource = PeerSource | MtlsSource | JwtSource | TokenSource | HeadersSource | DefaultSource


class Directory(Section, frozen=True, kw_only=True):
    """What is known of users beside what a source says."""

    file: Annotated[
        str,
        Meta(
            description="File with users, their roles, groups and attributes (.yaml, .yml, .json or .csv); a change counts "
            "at once. Empty for none."
        ),
    ] = ""
    allow_unverified: Annotated[
        bool,
        Meta(description="Whether it also tells of users that only a header names; anyone can then be any of them."),
    ] = False


class Identity(Section, frozen=True, kw_only=True):
    """Who asks."""

    sources: Annotated[
        tuple[AnySource, ...],
        Meta(
            min_length=1,
            description="Where the identity comes from, in order. One that finds nothing leaves it to the next; a credential "
            "that is there and not valid ends the search: `identity_invalid`.",
        ),
    ] = (HeadersSource(), DefaultSource())
    require_verified: Annotated[
        bool, Meta(description="Whether calls are denied that nothing verifies the user of.")
    ] = False
    default_user: Annotated[str, Meta(min_length=1, description="Principal id where nothing names one.")] = (
        "claude_user"
    )
    default_role: Annotated[str, Meta(min_length=1, description="Role where nothing names one.")] = "claude_user"
    directory: Directory = Directory()


def is_verified(source: AnySource) -> bool:
    """Whether somebody vouches for what a source says."""
    return not isinstance(source, HeadersSource | DefaultSource)
