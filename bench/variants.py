"""The Hookgates that are compared: as it ships, with other transports, identities and journals, and with a room taken away."""

from dataclasses import dataclass, field
from typing import Any

from hookgate.config.tree import PdpTransport
from tests.support.issuer import AUDIENCE, ISSUER, Key, claims

#: Long enough for any run.
_TOKEN_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Variant:
    """One Hookgate. `settings` are laid over those that the benchmark gives all of them; `without` is the room that
    `bench/without.py` takes away. `whole`: nothing is taken away, it is held to the goals."""

    name: str
    label: str
    settings: dict[str, Any] = field(default_factory=dict, hash=False)
    without: str = ""
    token: bool = False

    @property
    def whole(self) -> bool:
        """Whether nothing is taken away."""
        return not self.without

    @property
    def ships(self) -> bool:
        """Whether a process beside it ships the records."""
        return bool(self.settings.get("audit", {}).get("shippers"))


HOOKGATE = Variant("hookgate", "Hookgate")
#: What the names of Hookgates with another transport begin with.
TRANSPORT = "transport-"
SHIPPED = Variant("shipped", "with a store", {"audit": {"shippers": [{"type": "sqlite"}]}})


def variants() -> tuple[Variant, ...]:
    """Gives all that this version of Hookgate has."""
    return (
        HOOKGATE,
        *(Variant(f"{TRANSPORT}{one}", f"transport {one}", {"pdp": {"transport": one}}) for one in other_transports()),
        Variant("jwt", "JWT", token=True),
        Variant("disk", "journal: disk", {"audit": {"durability": "disk"}}),
        SHIPPED,
        Variant("no-journal", "without its journal", without="journal"),
        Variant("no-facts", "without finding facts", without="facts"),
        Variant("no-redaction", "without redaction", without="redaction"),
    )


def other_transports() -> tuple[str, ...]:
    """Gives what `pdp.transport` may be besides what it is by default, which is `http2` here: the PDP is on a unix socket."""
    return tuple(one.value for one in PdpTransport if one not in (PdpTransport.AUTO, PdpTransport.HTTP2))


class Issuer:
    """An identity provider of the benchmark's own: a key, the settings that trust it, and a token for the user of the payloads."""

    def __init__(self) -> None:
        self._key = Key()
        self.token = self._key.sign(claims(sub="alex", exp=claims()["iat"] + _TOKEN_SECONDS))

    @property
    def keys(self) -> dict[str, Any]:
        """The key set, for a file."""
        return {"keys": [self._key.public]}

    @staticmethod
    def settings(keys_file: str) -> dict[str, Any]:
        """Gives the settings: who bears a token of this issuer's is an engineer, if it says so."""
        issuer = {
            "issuer": ISSUER,
            "audiences": [AUDIENCE],
            "jwks_file": keys_file,
            "algorithms": ["ES256"],
            "groups_claim": "groups",
            "roles": {"map": {"eng": ["engineer"]}},
        }
        return {"identity": {"require_verified": True, "sources": [{"type": "jwt", "issuers": [issuer]}]}}
