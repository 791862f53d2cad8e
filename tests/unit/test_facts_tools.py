"""Tools that have no command line: what their input names."""

import pytest

from hookgate.facts import Access
from tests.unit.test_facts import CWD, facts


def test_a_search_on_the_web_names_the_domains_that_it_is_confined_to() -> None:
    found = facts(
        "WebSearch", {"query": "see https://q.example", "allowed_domains": ["A.example", "b.example/x", 3, " "]}
    )
    assert [host.name for host in found.hosts] == ["a.example", "b.example"]
    assert not facts("WebSearch", {"query": "x"}).hosts


def test_an_agent_names_what_stands_beside_its_prompt() -> None:
    found = facts(
        "Agent", {"prompt": "/etc/shadow", "description": "~/x", "subagent_type": "Explore", "cwd": "/srv/other"}
    )
    assert [(path.path, path.access) for path in found.paths] == [("/srv/other", Access.NAMED)]
    assert not found.inside_project
    assert not found.opaque


def test_a_skill_names_what_its_arguments_look_like() -> None:
    assert [path.path for path in facts("Skill", {"skill": "review", "args": "../x/.env"}).paths] == [
        "/home/dev/x/.env"
    ]
    assert [host.name for host in facts("Skill", {"skill": "get", "args": "https://a.example/x"}).hosts] == [
        "a.example"
    ]


def test_a_monitor_has_a_command_line() -> None:
    found = facts("Monitor", {"command": "tail -f app.log | grep x"})
    assert [command.program for command in found.commands] == ["tail", "grep"]
    assert found.paths[0].path == f"{CWD}/app.log"


@pytest.mark.parametrize("tool", ["TodoWrite", "AskUserQuestion", "ExitPlanMode"])
def test_what_is_said_to_a_person_names_nothing(tool: str) -> None:
    assert not facts(tool, {"plan": "/etc/shadow", "todos": [{"content": "https://a.example"}]}).paths


def test_a_tool_that_nobody_knows_yet_names_what_its_strings_look_like() -> None:
    found = facts("Future", {"target": "/etc/x", "command": "rm -rf y", "deep": [{"url": "https://a.example"}]})
    assert {path.path for path in found.paths} == {"/etc/x", f"{CWD}/y"}
    assert [command.program for command in found.commands] == ["rm"]
    assert [host.name for host in found.hosts] == ["a.example"]
