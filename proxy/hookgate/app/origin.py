"""Whether a request can come from a web page, or was meant for another host: whoever sends hooks is no browser."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

#: Any host is taken.
ANY = "*"
#: What the client may write for loopback, and what a browser resolves to nothing else.
_LOCAL = "localhost"
#: host[:port] as a Host field holds it (RFC 9110, 7.2), an IPv6 address in brackets.
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]\s/@?#]+)(?::[0-9]*)?")
#: How much of a field is told.
_SHOWN_CHARACTERS = 100


class Hosts:
    """The hosts that one listener is known by: those configured, loopback, and the address that a connection came in on.

    A page whose name is made to resolve to this machine (DNS rebinding) names its own host, and none of these.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        self._any = ANY in allowed
        self._names = frozenset(_plain(name) for name in allowed)
        # Callers choose what they name: only so many are remembered.
        self._known = lru_cache(maxsize=256)(self._is_ours)

    def holds(self, field: str, local: str) -> bool:
        """Whether a Host field names one of them; `local` is the address that the connection came in on."""
        return self._any or self._known(field, local)

    def _is_ours(self, field: str, local: str) -> bool:
        match = _HOST.fullmatch(field.strip())
        if match is None:
            return False
        name = _plain(match[1])
        if name == _LOCAL or name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or name == _plain(local)


def foreign(headers: Mapping[str, str], hosts: Hosts, local: str, *, own_pages: bool = False) -> str:
    """Gives what shows that a web page sent the request or that it was meant for another host; empty for neither.

    Browsers send `Origin` with each POST, and `Sec-Fetch-Site` with everything that they send to a trustworthy address; Claude
    Code sends neither. `own_pages`: the listener serves pages, which may ask it.
    """
    site = headers.get("Sec-Fetch-Site")
    from_own_page = own_pages and site == "same-origin"
    if "Origin" in headers and not from_own_page:
        return f"Origin {_shown(headers['Origin'])}"
    if site is not None and site != "none" and not from_own_page:
        return f"Sec-Fetch-Site {_shown(site)}"
    host = headers.get("Host")
    # Only HTTP/1.0 knows requests without one, and no browser speaks that.
    if host is not None and not hosts.holds(host, local):
        return f"Host {_shown(host)}"
    return ""


def local_address(sockname: object) -> str:
    """Gives the address of a socket's own end; empty for a unix socket's."""
    return str(sockname[0]) if isinstance(sockname, tuple) else ""


def _plain(name: str) -> str:
    """Gives a host in the one form that is compared: no brackets, no final dot, an address as Python writes it."""
    name = name.strip("[]").rstrip(".").lower()
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return name
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
