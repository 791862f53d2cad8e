"""The way from the client to a hook's URL: what its host is, and whether a proxy stands in between."""

import ipaddress
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from hookgate.client.finding import Kind

#: The variables whose proxy the client asks for hooks; ALL_PROXY it does not heed (measured), but may one day.
PROXY_VARIABLES = tuple(name for word in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY") for name in (word, word.lower()))
EXEMPTIONS = ("NO_PROXY", "no_proxy")

Resolve = Callable[[str], Iterable[str]]


def resolve(host: str) -> list[str]:
    """Gives the addresses of a name; none where it has none."""
    try:
        return sorted({str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)})
    except (OSError, UnicodeError):
        return []


def host_of(url: str) -> str:
    """Gives a URL's host in lower case; empty where it has none."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return ""


def route_faults(url: str, resolve: Resolve = resolve) -> Iterator[tuple[Kind, str]]:
    """Gives what is wrong with a URL's host."""
    host = host_of(url)
    literal = _address(host)
    if host == "localhost":
        yield Kind.LOCALHOST, ""
    elif literal is None:
        found = list(resolve(host)) if host else []
        inner = [one for one in found if (address := _address(one)) is not None and _is_refused(address)]
        if not found:
            yield Kind.NAME_UNKNOWN, host
        elif inner:
            yield Kind.NAME_IS_PRIVATE, f"{host} is {', '.join(inner)}"
    is_here = host == "localhost" or (literal is not None and literal.is_loopback)
    if url.lower().startswith("http:") and not is_here:
        yield Kind.URL_PLAIN, ""


def is_exempt(url: str, env: Mapping[str, str]) -> bool:
    """Whether NO_PROXY keeps a URL's host from being asked of a proxy."""
    host = host_of(url)
    try:
        port = urlsplit(url).port or (443 if url.lower().startswith("https:") else 80)
    except ValueError:
        return False
    for name in EXEMPTIONS:
        for entry in env.get(name, "").replace(" ", ",").split(","):
            wanted = entry.strip().strip("[]").lower()
            if wanted in ("*", host, f"{host}:{port}", f"[{host}]:{port}") and wanted:
                return True
            if wanted.startswith(".") and host.endswith(wanted):
                return True
    return False


def proxies(env: Mapping[str, str]) -> list[str]:
    """Gives the names of variables that set a proxy."""
    return [name for name in PROXY_VARIABLES if env.get(name)]


def _is_refused(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return (address.is_private or address.is_link_local) and not address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
