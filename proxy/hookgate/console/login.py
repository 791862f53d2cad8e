"""Coming in and going out."""

import secrets
from urllib.parse import quote

from aiohttp import web

from hookgate.console.guard import COOKIE, by_token
from hookgate.console.oidc import LoginError
from hookgate.console.shown import page
from hookgate.console.surroundings import VISITOR, around, form_of, remote_of
from hookgate.console.visitor import WHOLE_SECONDS, Role

_LOGIN_COOKIE = "hookgate_login"
_LOGIN_SECONDS = 600
#: Whom the link lets in: it lies where only this machine's user can read it.
_LINK_USER = "local user"
_MOST_TOKEN_CHARACTERS = 4096


async def login(request: web.Request) -> web.StreamResponse:
    """The page where somebody comes in; with a link's token, or with what the identity provider sends back, they do."""
    if "link" in request.query:
        return await _by_link(request)
    if request.get(VISITOR) is not None:
        raise web.HTTPSeeOther(_own(request.query.get("back", "/")))
    return _page(request)


def _page(request: web.Request, fault: str = "", status: int = 200) -> web.Response:
    surroundings = around(request)
    return page(
        request,
        "login.html.j2",
        status=status,
        fault=fault,
        back=quote(_own(request.query.get("back", "/")), safe=""),
        by_link=surroundings.link is not None,
        link_path=str(surroundings.link.path) if surroundings.link is not None else "",
        by_oidc=surroundings.provider is not None,
        by_token=surroundings.tokens is not None,
    )


async def _by_link(request: web.Request) -> web.StreamResponse:
    surroundings = around(request)
    if surroundings.link is None or not surroundings.link.use(request.query["link"]):
        await surroundings.looks.note(
            "console_refused", {"user": "", "remote": remote_of(request), "why": "link not valid"}
        )
        return _page(
            request, "This link has been used, or is another start's. `hookgate console` prints one that counts.", 403
        )
    return await _let_in(request, _LINK_USER, Role.AUDITOR, "link", "/")


async def by_form(request: web.Request) -> web.StreamResponse:
    """A bearer token that somebody has typed in."""
    form = await form_of(request)
    token = str(form.get("token", "")).strip()[:_MOST_TOKEN_CHARACTERS]
    visitor = await by_token(request, token) if token and token.isascii() else None
    if visitor is None:
        return _page(
            request, "This token is not known, has run out, or has neither of the roles viewer and auditor.", 403
        )
    return await _let_in(request, visitor.user, visitor.role, "token", _own(request.query.get("back", "/")))


async def to_provider(request: web.Request) -> web.StreamResponse:
    """Sends a browser to the identity provider."""
    provider = around(request).provider
    if provider is None:
        raise web.HTTPNotFound
    browser = secrets.token_urlsafe(24)
    try:
        where = await provider.begin(browser, _redirect(request), _own(request.query.get("back", "/")))
    except LoginError as error:
        return await _refused(request, str(error), 502)
    answer = web.HTTPSeeOther(where)
    answer.set_cookie(
        _LOGIN_COOKIE,
        browser,
        max_age=_LOGIN_SECONDS,
        path="/login",
        httponly=True,
        samesite="Lax",
        secure=_is_secure(request),
    )
    return answer


async def from_provider(request: web.Request) -> web.StreamResponse:
    """Where the identity provider sends a browser back to."""
    provider, query = around(request).provider, request.query
    if provider is None:
        raise web.HTTPNotFound
    if "code" not in query:
        why = query.get("error", "no code")
        return await _refused(request, f"the provider says {why[:100]}", 403)
    browser = request.cookies.get(_LOGIN_COOKIE, "")
    try:
        person = await provider.end(browser, query.get("state", ""), query["code"], query.get("iss", ""))
    except LoginError as error:
        return await _refused(request, str(error), 403)
    if person.role is None:
        why = f"{person.user} is neither a viewer nor an auditor"
        return await _refused(request, why, 403, person.user)
    answer = await _let_in(request, person.user, person.role, "oidc", person.back)
    answer.del_cookie(_LOGIN_COOKIE, path="/login")
    return answer


async def logout(request: web.Request) -> web.StreamResponse:
    """Ends the session."""
    surroundings, visitor = around(request), request[VISITOR]
    surroundings.sessions.end(request.cookies.get(COOKIE, ""))
    await surroundings.looks.note(
        "console_logout", {"user": visitor.user, "remote": remote_of(request), "by": visitor.by}
    )
    answer = web.HTTPSeeOther("/login")
    answer.del_cookie(COOKIE)
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    return answer


async def _refused(request: web.Request, why: str, status: int, user: str = "") -> web.Response:
    await around(request).looks.note("console_refused", {"user": user, "remote": remote_of(request), "why": why})
    return _page(request, f"You could not be let in: {why}.", status)


async def _let_in(request: web.Request, user: str, role: Role, by: str, back: str) -> web.StreamResponse:
    surroundings = around(request)
    await surroundings.looks.note(
        "console_login", {"user": user, "remote": remote_of(request), "role": role.value, "by": by}
    )
    cookie = surroundings.sessions.begin(user, role, by)
    answer = web.HTTPSeeOther(back)
    answer.set_cookie(
        COOKIE, cookie, max_age=int(WHOLE_SECONDS), path="/", httponly=True, samesite="Lax", secure=_is_secure(request)
    )
    return answer


def _redirect(request: web.Request) -> str:
    public = around(request).config.public_url.rstrip("/")
    return f"{public or f'{request.scheme}://{request.host}'}/login/callback"


def _is_secure(request: web.Request) -> bool:
    return request.secure or around(request).config.public_url.startswith("https:")


def _own(back: str) -> str:
    """Gives a path of ours; anything else is the first page."""
    is_own = back.startswith("/") and not back.startswith(("//", "/\\")) and back.isascii() and back.isprintable()
    return back if is_own and "\\" not in back else "/"
