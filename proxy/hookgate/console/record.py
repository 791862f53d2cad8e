"""A record in full: who, what, why, how long, and what became of the call."""

from aiohttp import web

from hookgate.audit.evidence import is_reduced, row_holds
from hookgate.audit.parts import parts_of
from hookgate.audit.store.question import Entry, Store
from hookgate.audit.store.subject import subject_of
from hookgate.console.shown import page
from hookgate.console.surroundings import around, remote_of, visitor_of

_ID_CHARACTERS = 200


async def show(request: web.Request) -> web.Response:
    """The page of one record."""
    name = request.match_info["id"][:_ID_CHARACTERS]

    def ask(store: Store) -> tuple[Entry, ...]:
        return store.show(name)

    entries = await around(request).ask(ask)
    await around(request).looks.viewed(visitor_of(request), remote_of(request), "record", {"id": name}, len(entries))
    if not entries:
        return page(
            request,
            "fault.html.j2",
            status=404,
            title="No such record",
            detail=f"The store has none with the id {name}.",
            mend="It may be on its way, or retention has removed it. Search for its session, user or time.",
        )
    entry, *others = entries
    return page(
        request,
        "record.html.j2",
        entry=entry,
        record=entry.record,
        parts=dict(parts_of(entry.record)),
        subject=subject_of(entry.record),
        holds=_holds(entry),
        others=[
            {"entry": other, "record": other.record, "subject": subject_of(other.record), "holds": _holds(other)}
            for other in others
        ],
    )


def _holds(entry: Entry) -> str:
    if is_reduced(entry):
        return "unknown"
    return "yes" if row_holds(entry) else "no"
