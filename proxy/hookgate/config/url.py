"""What is wrong with a URL, told without quoting it: it may have a password."""

import re
from urllib.parse import parse_qs, unquote, urlsplit

_HOST = re.compile(r"(?:\[[0-9a-fA-F:.%\w]+\]|[^\[\]:]*)(?::(?P<port>[^:]*))?")
_ESCAPES = "characters such as @, /, ? and # in a password are written %40, %2F, %3F and %23"


def http_fault(url: str) -> str | None:
    """Gives a fault of an http or https URL; None where it has none."""
    try:
        parts = urlsplit(url)
        # Read here, as it is checked only where it is read.
        port = parts.port
    except ValueError:
        return f"can't be read: expected https://HOST:PORT/PATH, PORT up to 65535; {_ESCAPES}"
    if not parts.hostname or port == 0:
        return "expected https://HOST:PORT/PATH"
    return None


def postgres_fault(url: str) -> str | None:
    """Gives a fault of a PostgreSQL URL, which may name several hosts, or none; None where it has none."""
    expected = f"can't be read: expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE; {_ESCAPES}"
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query)
    except ValueError:
        return expected
    hosts = parts.netloc.rpartition("@")[2].split(",")
    found = [_HOST.fullmatch(unquote(host)) for host in hosts]
    if not all(found) or (len(hosts) > 1 and not all(hosts)):
        return expected
    ports = [host["port"] for host in found if host is not None and host["port"]]
    ports += [port for listed in query.get("port", []) for port in listed.split(",")]
    return None if all(is_port(port) for port in ports) else f"{expected}, PORT from 1 to 65535"


def is_port(text: str) -> bool:
    """Whether it is a port that something can listen on."""
    return text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= 65535
