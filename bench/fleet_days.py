"""What a company's days come to, calculated from what was measured of a fleet."""

from bench.grid import Grid

#: Machines; and of each a day: records of calls, and the hours that it is open, with a checkpoint each ten seconds.
MACHINES, CALLS, HOURS = 5000, 1600, 10
LINES = CALLS + HOURS * 360


def grid(*, wire_bytes: float, store_bytes: float, line_bytes: float, line_ms: tuple[float, float]) -> Grid:
    """Gives the table. Bytes are those of a line: sent by itself, in PostgreSQL, in the journal; `line_ms` is what that line takes of
    the collector's processors and of the database's."""
    a_day = MACHINES * LINES
    a_second = a_day / HOURS / 3600
    rows: list[tuple[str, ...]] = [
        ("lines a day", f"{a_day:,}"),
        (f"lines a second, over {HOURS} hours", f"{a_second:,.0f}"),
        ("processors for that: collectors, PostgreSQL", ", ".join(f"{a_second * one / 1000:.1f}" for one in line_ms)),
        ("on the wire a day, GB", f"{a_day * wire_bytes / 1e9:,.0f}"),
        (f"on the wire, over {HOURS} hours, Mbit/s", f"{a_second * wire_bytes * 8 / 1e6:,.1f}"),
        ("PostgreSQL a day, GB", f"{a_day * store_bytes / 1e9:,.0f}"),
        ("PostgreSQL for 30 days, TB", f"{30 * a_day * store_bytes / 1e12:,.1f}"),
        ("journal of one machine a day, MB", f"{LINES * line_bytes / 1e6:,.1f}"),
    ]
    return Grid(
        f"{MACHINES:,} developers, calculated: {CALLS:,} calls a day each, and checkpoints for {HOURS} hours",
        ("", "calculated"),
        1,
        [rows],
    )
