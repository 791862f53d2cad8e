"""Who looks: a person or program that was let in, what they may do, and for how long."""

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

#: However busy somebody is: then they log in again.
WHOLE_SECONDS = 12 * 3600.0
_MOST = 4096
_ID_BYTES = 32


class Role(StrEnum):
    """What somebody may do."""

    #: Look at records.
    VIEWER = "viewer"
    #: Also take records out, have the journal verified, and make reports.
    AUDITOR = "auditor"


def role_among(names: tuple[str, ...] | list[str]) -> Role | None:
    """Gives the most that these names of roles allow."""
    return next((role for role in (Role.AUDITOR, Role.VIEWER) if role.value in names), None)


@dataclass(slots=True)
class Visitor:
    """Somebody who was let in. `by`: `link`, `oidc` or `token`; `csrf` is what forms of theirs must bear."""

    user: str
    role: Role
    by: str
    csrf: str
    begun: float
    used: float

    @property
    def is_auditor(self) -> bool:
        """Whether they may take records out."""
        return self.role is Role.AUDITOR


class Sessions:
    """Sessions of browsers, in memory: a restart ends all of them. A cookie is a random id with a signature."""

    def __init__(self, idle_seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._found: OrderedDict[str, Visitor] = OrderedDict()

    def begin(self, user: str, role: Role, by: str) -> str:
        """Lets somebody in; gives the cookie."""
        name, now = secrets.token_urlsafe(_ID_BYTES), self._clock()
        self._found[name] = Visitor(user, role, by, secrets.token_urlsafe(24), now, now)
        if len(self._found) > _MOST:
            self._found.popitem(last=False)
        return f"{name}.{self._signature(name)}"

    def of(self, cookie: str) -> Visitor | None:
        """Gives whose cookie it is, if their session has not ended."""
        name, _, signature = cookie.partition(".")
        if not _same(signature, self._signature(name)):
            return None
        visitor, now = self._found.get(name), self._clock()
        if visitor is None:
            return None
        if now - visitor.used > self._idle_seconds or now - visitor.begun > WHOLE_SECONDS:
            del self._found[name]
            return None
        visitor.used = now
        return visitor

    def end(self, cookie: str) -> None:
        """Ends a session, whoever still has its cookie."""
        name, _, signature = cookie.partition(".")
        if _same(signature, self._signature(name)):
            self._found.pop(name, None)

    def _signature(self, name: str) -> str:
        return hmac.new(self._key, name.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode())
