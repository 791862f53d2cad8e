"""Label values are of bounded number, whatever callers write."""

from hypothesis import given
from hypothesis import strategies as st

from hookgate.hooks.catalog import EVENTS
from hookgate.recorded import recorded
from hookgate.telemetry.labels import TOOLS, Labels

names = st.text(max_size=12) | st.text(alphabet="_mcpab", max_size=14) | st.integers().map(lambda n: f"mcp__s{n}__t")


def test_tools_of_the_client_are_called_by_name_and_mcp_tools_by_server() -> None:
    labels = Labels()
    assert [
        labels.tool(name) for name in ("Bash", "", "mcp__github__create_issue", "mcp__git-hub_2__x", "MultiEdit")
    ] == [
        "Bash",
        "",
        "mcp:github",
        "mcp:git-hub_2",
        "other",
    ]


def test_each_recorded_tool_has_a_label_of_its_own_kind() -> None:
    labels = Labels()
    for request in recorded():
        assert labels.tool(request.tool or "") != "other"
        assert labels.event(request.event) == request.event


def test_servers_beyond_the_first_are_counted_together_and_known_ones_keep_their_name() -> None:
    labels = Labels()
    found = {labels.tool(f"mcp__s{number}__t") for number in range(1000)}
    assert "mcp:other" in found
    assert len(found) <= 51
    assert labels.tool("mcp__s0__other") == "mcp:s0"
    assert labels.tool("mcp__s999__t") == "mcp:other"


def test_a_long_server_name_keeps_its_label() -> None:
    labels = Labels()
    name = f"mcp__{'x' * 100}__t"
    first = labels.tool(name)
    for number in range(100):
        labels.tool(f"mcp__s{number}__t")
    assert labels.tool(name) == first
    assert len(first) < 80


@given(tools=st.lists(names, max_size=200), events=st.lists(names, max_size=20))
def test_whatever_callers_write_the_values_stay_few_short_and_plain(tools: list[str], events: list[str]) -> None:
    labels = Labels()
    found = {labels.tool(tool) for tool in tools}
    assert len(found - TOOLS - {"", "other"}) <= 51
    assert all(len(value) <= 70 and value.isascii() and value.isprintable() for value in found)
    assert {labels.event(event) for event in events} <= {*EVENTS, "unknown", "none"}


def test_an_event_that_is_not_known_or_not_read_has_a_label_too() -> None:
    assert [Labels.event(name) for name in ("Stop", "EventOfTomorrow", "")] == ["Stop", "unknown", "none"]
