"""The pages over a store in PostgreSQL."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.console import SESSION, ConsoleProcess, decision, get, journal, session
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.wait import until


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


def test_every_page_is_served_over_postgres_also_after_it_was_away(server: PostgresServer, tmp_path: Path) -> None:
    shipper = {"type": "postgres", "url": server.url(), "schema": "trail"}
    console = ConsoleProcess(tmp_path, audit={"directory": str(tmp_path / "audit"), "shippers": [shipper]})
    made = session(datetime.now(UTC))
    journal(console.audit, made)
    console.start()
    try:
        _, headers, _ = get(console.link())
        cookie = {"Cookie": headers["Set-Cookie"].partition(";")[0]}

        def page(path: str) -> tuple[int, str]:
            status, _, text = get(console.url + path, **cookie)
            return status, text

        until(
            lambda: made[-1]["id"] in page("/search?tool=mcp__tracker__get_issue")[1], what="the records in the store"
        )
        paths = [
            "/",
            "/overview/closer",
            "/search?text=owned&outcome=deny",
            f"/session/{SESSION}",
            f"/record/{made[0]['id']}",
        ]
        for path in [*paths, "/live", "/people", "/policies", "/evidence", "/service", "/search.csv"]:
            status, text = page(path)
            assert status == 200, (path, text[-2000:])
        assert "explore-1" in page(f"/session/{SESSION}")[1]
        assert "secrets" in page("/policies")[1]
        # Connections end with the server, and the next question has a new one.
        server.kill()
        assert page("/search")[0] == 503
        server.start()
        until(lambda: page("/search")[0] == 200, seconds=20, what="the store to be asked again")
        journal(console.audit, [decision(datetime.now(UTC), user="lina")])
        until(lambda: 'class="cover"' in page("/search?user=lina")[1], seconds=40, what="the newest record")
    finally:
        console.stop()
