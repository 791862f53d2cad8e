"""What every request passes: the host, the page that it comes from, who it is, and what its answer's headers say."""

import hmac
from urllib.parse import quote, urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from hookgate.app.origin import local_address
from hookgate.audit.store.question import NoStoreError, StoreError, TooLongError
from hookgate.console.asking import BusyError
from hookgate.console.looks import UnrecordedError
from hookgate.console.shown import is_part, page
from hookgate.console.surroundings import VISITOR, around, form_of, remote_of
from hookgate.console.visitor import Visitor, role_among
from hookgate.errors import GateError
from hookgate.harmless import harmless
from hookgate.identity.connection import Connection

COOKIE = "hookgate_console"
#: Nobody needs to be let in for these.
_OPEN = ("/static/", "/login", "/healthz")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_SAFE = ("GET", "HEAD")


@web.middleware
async def headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Puts the same headers on every answer; streams take theirs from `stream_headers`."""
    try:
        answer = await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            answer = error
        else:
            answer = page(
                request, "fault.html.j2", status=error.status, title=error.reason, detail=error.text or "", mend=""
            )
            answer.headers.extend(
                {name: value for name, value in error.headers.items() if name in ("Allow", "Retry-After")}
            )
    if not answer.prepared:
        for name, value in (_HEADERS | {"Cache-Control": "no-store"}).items():
            answer.headers.setdefault(name, value)
        if request.secure:
            answer.headers["Strict-Transport-Security"] = "max-age=31536000"
    return answer


def stream_headers() -> dict[str, str]:
    """Gives the headers of an answer that is sent as it is made."""
    return {**_HEADERS, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@web.middleware
async def ours(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses what was meant for another host, and what another site's page makes a browser send."""
    sockname = request.transport.get_extra_info("sockname") if request.transport is not None else None
    host = request.headers.get("Host", "")
    local = local_address(sockname)
    if not around(request).hosts.holds(host, local):
        raise web.HTTPForbidden(
            reason="Not this host",
            text=f"The request is for the host {harmless(host, 100)}: names belong into console.allowed_hosts.",
        )
    site = request.headers.get("Sec-Fetch-Site", "")
    if request.method in _SAFE:
        if site in ("cross-site", "same-site") and request.headers.get("Sec-Fetch-Mode") != "navigate":
            raise web.HTTPForbidden(reason="Another site's page asks", text="Only pages of the console may ask it.")
        return await handler(request)
    origin = request.headers.get("Origin")
    # What stands before us may ask under another name than browsers do.
    names = {host, urlsplit(around(request).config.public_url).netloc} - {""}
    is_own = site in ("", "same-origin", "none") and (origin is None or urlsplit(origin).netloc in names)
    if not is_own:
        raise web.HTTPForbidden(reason="Another site's page asks", text="Only pages of the console may ask it.")
    return await handler(request)


@web.middleware
async def known(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Lets nobody in whom it does not know."""
    visitor = await _visitor(request)
    if visitor is not None:
        request[VISITOR] = visitor
    if request.path.startswith(_OPEN):
        return await handler(request)
    if visitor is None:
        return _to_login(request)
    if request.method not in _SAFE and visitor.csrf and not await _bears(request, visitor.csrf):
        raise web.HTTPForbidden(reason="Not sent from here", text="The form was not one of yours: load the page again.")
    return await handler(request)


@web.middleware
async def faults(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Says what went wrong with the store in words."""
    try:
        return await handler(request)
    except TooLongError as error:
        mend = "Name a shorter period, a user, a tool or a session: an index leads to those. console.question_seconds bounds it."
        return _fault(request, 504, "The question took too long", str(error), mend)
    except NoStoreError:
        detail = "The store is made with the first record, a second or two after Hookgate has started. This page looks again by itself."
        mend = "If it stays so: Evidence says whether a shipper of type sqlite or postgres delivers, and the log why not (ship_failed)."
        answer = _fault(request, 503, "No record yet", detail, mend)
        answer.headers["Refresh"] = "2"
        return answer
    except StoreError as error:
        mend = "Nothing is lost: the journal has every record. The page works again when the store does."
        return _fault(request, 503, "The store can't be read", str(error), mend)
    except UnrecordedError as error:
        mend = "Nothing is shown that is not recorded."
        return _fault(request, 503, "This look can't be recorded", str(error), mend)
    except BusyError:
        return _fault(
            request, 503, "Too many questions at once", "Others wait for the store already.", "Ask again in a moment."
        )
    except web.HTTPException:
        raise
    except ConnectionResetError:
        raise
    except Exception as error:  # noqa: BLE001 (it is told, and the page says so)
        around(request).log.error("internal", where="console", exc_info=error)
        return _fault(
            request, 500, "Something went wrong here", type(error).__name__, "The log has the event `internal`."
        )


def _fault(request: web.Request, status: int, title: str, detail: str, mend: str) -> web.Response:
    # What htmx swaps in must not be left out for its status.
    template = "fault_part.html.j2" if is_part(request) else "fault.html.j2"
    answer = page(request, template, status=200 if is_part(request) else status, title=title, detail=detail, mend=mend)
    answer.headers["X-Status"] = str(status)
    return answer


async def _visitor(request: web.Request) -> Visitor | None:
    surroundings = around(request)
    if (found := surroundings.sessions.of(request.cookies.get(COOKIE, ""))) is not None:
        return found
    if surroundings.tokens is None or "Authorization" not in request.headers:
        return None
    return await by_token(request)


async def by_token(request: web.Request, text: str = "") -> Visitor | None:
    """Gives whose bearer token a request has; with a text, whose token that is."""
    tokens = around(request).tokens
    if tokens is None:
        return None
    named = (
        {"authorization": f"Bearer {text}"}
        if text
        else {name.lower(): value for name, value in request.headers.items()}
    )
    try:
        found = await tokens.find(named, Connection(remote=remote_of(request)))
    except GateError as error:
        await around(request).looks.note(
            "console_refused", {"user": "", "remote": remote_of(request), "why": error.detail}
        )
        return None
    role = role_among(found.roles) if found is not None else None
    if found is None or role is None:
        return None
    return Visitor(found.user, role, "token", "", 0.0, 0.0)


async def _bears(request: web.Request, csrf: str) -> bool:
    given = request.headers.get("X-CSRF-Token", "")
    if not given and request.content_type == "application/x-www-form-urlencoded":
        given = str((await form_of(request)).get("csrf", ""))
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), csrf.encode())


def _to_login(request: web.Request) -> web.StreamResponse:
    if "Authorization" in request.headers or request.headers.get("Accept", "").startswith(
        ("application/json", "text/csv")
    ):
        raise web.HTTPUnauthorized(reason="Who are you?", text="Log in, or send a bearer token that is good here.")
    back = request.path_qs if request.method in _SAFE and not is_part(request) else "/"
    where = "/login" if back == "/" else f"/login?back={quote(back, safe='')}"
    if is_part(request):
        return web.Response(status=200, headers={"HX-Redirect": "/login"})
    if request.headers.get("Accept", "").startswith("text/event-stream"):
        raise web.HTTPUnauthorized(reason="Who are you?")
    raise web.HTTPSeeOther(where)
