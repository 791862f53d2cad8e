"""Attacks on a guard that reads calls, each with what facts do about it. What facts cannot see stands in docs/facts.md."""

import time

import pytest

from hookgate.facts import Access, PathFact
from hookgate.facts.model import MAX_ENTRIES
from tests.unit.test_facts_shell import CWD, call, shell


@pytest.mark.parametrize("command", [")" * 30_000, "<<a " * 12_000, "| sh é" * 1500, "a@" * 30_000])
def test_a_parser_that_holds_the_interpreter_is_stopped(command: str) -> None:
    spent = []
    for _ in range(3):
        began = time.thread_time()
        assert "too_complex" in shell(command).opaque_reasons
        spent.append(time.thread_time() - began)
    assert min(spent) < 0.05


@pytest.mark.parametrize(
    "command", ["ls\0", "\0" * 30_000, "echo a\rrm -rf /", "echo a\b\bm", "ls \x1b]0;x\x07", "a\x7f"]
)
def test_control_characters_are_opaque_before_anything_is_parsed(command: str) -> None:
    found = shell(command)
    assert found.opaque_reasons == ("control_character",)
    assert not found.commands


def test_lists_are_short_enough_for_a_policy_that_compares_all_with_all() -> None:
    found = shell("; ".join(f"cat /x/{n} && curl https://h{n}.example" for n in range(600)))
    assert max(len(found.commands), len(found.paths), len(found.hosts)) == MAX_ENTRIES
    assert {"too_many_commands", "too_many_paths", "too_many_hosts"} <= set(found.opaque_reasons)


@pytest.mark.parametrize("path", [".claude/settings.local.json", "~/.claude/settings.json", ".mcp.json", "CLAUDE.md"])
@pytest.mark.parametrize(
    "command", ["echo x > {}", "tee {} < y", "cp y {}", "sed -i s/a/b/ {}", "mv y {}", "ln -sf y {}"]
)
def test_a_write_to_what_steers_the_client_is_told_from_the_command_line_too(path: str, command: str) -> None:
    name = path.removeprefix("~")
    assert any(one.access is Access.WRITE and one.path.endswith(name) for one in shell(command.format(path)).paths)


@pytest.mark.parametrize(
    "name", ["BASH_ENV", "CLAUDE_CODE_SHELL_PREFIX", "LD_PRELOAD", "LD_AUDIT", "DYLD_INSERT_LIBRARIES"]
)
@pytest.mark.parametrize(
    "command",
    ["{}=/tmp/x git status", "export {}=/tmp/x", "{}=/tmp/x", "env {}=/tmp/x git status", "sudo {}=/tmp/x ls"],
)
def test_a_variable_that_makes_an_approved_command_run_other_code_is_a_shape(name: str, command: str) -> None:
    assert "steered_program" in shell(command.format(name)).shapes


@pytest.mark.parametrize(
    "written", [" /etc/hostname", "~/../../../../etc/hostname", "/etc/hostname\u00a0", "\ufeff/etc/hostname"]
)
@pytest.mark.parametrize("tool", ["Grep", "Glob"])
def test_a_search_path_is_trimmed_and_expanded_as_the_client_does_after_the_hook(tool: str, written: str) -> None:
    (found,) = call(tool, {"path": written}).paths
    assert (found.path, found.recursive) == ("/etc/hostname", True)


@pytest.mark.parametrize(
    "path", ["/proc/self/root/etc/shadow", "/proc/1/cwd/x", "/proc/self/fd/3", "/proc/thread-self/root/x", "/dev/fd/3"]
)
def test_a_link_of_the_system_is_flagged(path: str) -> None:
    for found in (shell(f"cat {path}"), call("Read", {"file_path": path})):
        assert [one.indirect for one in found.paths] == [True]


@pytest.mark.parametrize(
    "command",
    ["ln -s /etc/shadow x", "ln /etc/shadow x", "cp -s /etc/shadow x", "ln -sfn /etc/shadow x", "link /etc/shadow x"],
)
def test_making_a_link_counts_as_access_to_its_target(command: str) -> None:
    assert (Access.READ, "/etc/shadow") in [(one.access, one.path) for one in shell(command).paths]


def _folded(path: str) -> list[PathFact]:
    return [*shell(f"cat {path}").paths, *call("Read", {"file_path": path}).paths]


@pytest.mark.parametrize("path", [".ENV", ".Env", "\uff0eenv", ".\uff45nv"])
def test_a_name_that_a_file_system_folds_is_given_folded(path: str) -> None:
    assert [one.folded for one in _folded(path)] == [f"{CWD}/.env"] * 2


def test_an_address_that_two_readers_read_differently_is_opaque() -> None:
    url = "https://evil.example\\@good.example"
    assert [one.name for one in call("WebFetch", {"url": url}).hosts] == ["evil.example"]
    found = shell(f"curl '{url}'")
    assert {one.name for one in found.hosts} >= {"evil.example", "good.example"}
    assert "ambiguous_url" in found.opaque_reasons


@pytest.mark.parametrize(
    ("command", "tool", "reason"),
    [
        ("print =(ls)", "Bash", "zsh_only"),
        ("echo ${(e)x}", "Bash", "zsh_only"),
        ("Remove-Item -Recurse x", "Bash", "powershell"),
        ("ls", "PowerShell", "powershell"),
        ("powershell -enc ZQBjAGgAbwA=", "Bash", "encoded_command"),
    ],
)
def test_a_form_of_another_shell_is_opaque(command: str, tool: str, reason: str) -> None:
    assert reason in shell(command, tool).opaque_reasons


def test_a_home_directory_is_told_without_the_service_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/service")
    for written in ("~/.ssh/id", "$HOME/.ssh/id", '"${HOME}"/.ssh/id'):
        assert shell(f"cat {written}").paths[0].home == "~/.ssh/id"
        assert shell(f"cat {written}", cwd="/srv/work").paths[0].path == "~/.ssh/id"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("l\u0455 x", "look_alike"),
        ("echo \u202ex", "hidden_text"),
        ("r\u200bm x", "hidden_text"),
        ("rm\u00a0x", "look_alike"),
        ("\uff52\uff4d x", "look_alike"),
    ],
)
def test_a_text_that_looks_like_another_is_opaque(command: str, reason: str) -> None:
    assert reason in shell(command).opaque_reasons
