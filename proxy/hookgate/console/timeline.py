"""A session as a time line: what an agent did from the first prompt to the end, subagents indented."""

from datetime import datetime
from typing import NamedTuple

from aiohttp import web

from hookgate.audit.store.question import Filter, Page, Row, Stats, Store, StoreError
from hookgate.console.shown import page
from hookgate.console.surroundings import around, remote_of, visitor_of

_ROWS = 300
_ID_CHARACTERS = 200
#: After a call, its record says nothing that the call's own line does not.
_ENDS = ("PostToolUse", "PostToolUseFailure")
_PROMPTS = ("UserPromptSubmit", "SessionStart")


class Step(NamedTuple):
    """One line. `after_seconds` is since the session's first decision, `pause_seconds` since the line before."""

    row: Row
    after_seconds: float
    pause_seconds: float
    is_prompt: bool
    #: Whether another agent than that of the line before goes on.
    is_turn: bool


async def show(request: web.Request) -> web.Response:
    """The page of one session."""
    name, cursor = request.match_info["id"][:_ID_CHARACTERS], request.query.get("cursor", "")[:64]

    def ask(store: Store) -> tuple[Page, Stats]:
        found = store.session(name, limit=_ROWS, cursor=cursor)
        return found, store.stats(Filter(session_id=name), top=5, buckets=1)

    try:
        found, stats = await around(request).ask(ask)
    except StoreError as error:
        if not str(error).startswith("the cursor"):
            raise
        raise web.HTTPBadRequest(reason="No such page", text=str(error)) from None
    await around(request).looks.viewed(
        visitor_of(request), remote_of(request), "session", {"session": name}, len(found.rows)
    )
    steps = _steps(found.rows)
    return page(
        request,
        "session.html.j2",
        status=200 if found.rows or cursor else 404,
        name=name,
        found=found,
        stats=stats,
        steps=steps,
        agents=sorted({step.row.agent_id for step in steps if step.row.agent_id}),
        first=found.rows[0] if found.rows else None,
        is_first=not cursor,
    )


def _steps(rows: tuple[Row, ...]) -> list[Step]:
    asked = {row.tool_use_id for row in rows if row.event == "PreToolUse" and row.tool_use_id}
    steps: list[Step] = []
    first = before = _time(rows[0]) if rows else 0.0
    agent: str | None = None
    for row in rows:
        # One that is denied, or stands for itself, is not left out.
        if (
            row.event in _ENDS
            and row.tool_use_id in asked
            and row.outcome in ("allow", "no_match")
            and not row.violations
        ):
            continue
        at = _time(row)
        steps.append(
            Step(row, at - first, at - before, row.event in _PROMPTS, row.agent_id != agent and agent is not None)
        )
        before, agent = at, row.agent_id
    return steps


def _time(row: Row) -> float:
    try:
        return datetime.fromisoformat(row.time).timestamp()
    except ValueError:
        return 0.0
