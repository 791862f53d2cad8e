"""Addresses: the host that the client's own reader finds (WHATWG, as JavaScript's `new URL`), and the one that curl finds."""

import re
from urllib.parse import urlsplit

import ada_url

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")


def browser_host(url: str) -> str:
    """Gives the host by WHATWG's rules, in lower case; empty where there is none or the address is not valid."""
    try:
        return str(ada_url.URL(url).hostname).lower().strip("[]")
    except ValueError:
        return ""


def plain_host(url: str) -> str:
    """Gives the host by RFC 3986, in lower case; empty where there is none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def has_scheme(text: str) -> bool:
    """Whether a text begins like `https://`."""
    return "://" in text and _SCHEME.match(text) is not None
