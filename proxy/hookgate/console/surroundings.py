"""What all pages share: the settings, the store, who may look, and how the shippers are doing."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from aiohttp import web

from hookgate.app.origin import Hosts
from hookgate.audit.fleet.expected import Inventory
from hookgate.audit.shipping.status import Status
from hookgate.config.console import Console
from hookgate.console.asking import Asking
from hookgate.console.job import Jobs
from hookgate.console.link import Link
from hookgate.console.looks import Looks
from hookgate.console.oidc import Provider
from hookgate.console.visitor import Sessions, Visitor
from hookgate.identity.tokens import Tokens


@dataclass(slots=True)
class Surroundings:
    """What all pages share."""

    config: Console
    #: The journal's directory.
    directory: Path
    #: The store's name as commands take it, and the schema; it may hold a password.
    where: str
    schema: str
    #: Where the service tells how it is doing; empty where it does not.
    admin: str
    ask: Asking
    #: For streams, so that a slow search holds up none of them.
    ask_live: Asking
    looks: Looks
    sessions: Sessions
    jobs: Jobs
    hosts: Hosts
    #: The machines of the fleet that there should be.
    inventory: Inventory
    log: structlog.typing.FilteringBoundLogger
    status: Callable[[], Status]
    link: Link | None = None
    tokens: Tokens | None = None
    provider: Provider | None = None
    #: Streams that are open, by user.
    streams: Counter[str] = field(default_factory=Counter)


SURROUNDINGS = web.AppKey("surroundings", Surroundings)
VISITOR = web.RequestKey("visitor", Visitor)


def around(request: web.Request) -> Surroundings:
    """Gives what all pages share."""
    return request.app[SURROUNDINGS]


def visitor_of(request: web.Request) -> Visitor:
    """Gives who looks; only where somebody was let in."""
    return request[VISITOR]


async def form_of(request: web.Request) -> Mapping[str, object]:
    """Gives a form's fields. Raises HTTPException for what is none."""
    try:
        return await request.post()
    except (LookupError, ValueError, AssertionError):
        # An unknown character set, bytes that are no text, and parts that do not end.
        raise web.HTTPBadRequest(reason="No form", text="The form can't be read.") from None


def remote_of(request: web.Request) -> str:
    """Gives the address that a request came from."""
    return request.remote or ""
