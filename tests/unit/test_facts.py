"""What a call would touch, and paths as text."""

import json
import posixpath
import unicodedata
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from hookgate.facts import Access, Facts, facts_of
from hookgate.facts.paths import folded, folded_home, home_of, is_below, resolved, trimmed
from hookgate.hooks.decode import Read
from hookgate.hooks.event import event_from
from hookgate.recorded import Recorded
from tests.unit.strategies import sent_objects, sent_values

CWD = "/home/dev/project"
#: Text made of what paths are made of.
paths = st.text(alphabet=st.sampled_from("/.~ ab\\:\0\n\u00a0é"), max_size=24) | st.lists(
    st.sampled_from(["..", ".", "", "a", "b c", "~", ".git", "home", "x"]), max_size=8
).map("/".join)
directories = st.sampled_from([CWD, "/", "", "/home/dev", "/w", "relative", "/a/../b", "//x//y/"])

KEYS = {
    "version",
    "paths",
    "hosts",
    "commands",
    "shapes",
    "server",
    "tool",
    "inside_project",
    "opaque",
    "opaque_reasons",
    "altered",
    "dropped",
    "truncated",
}


def facts(tool: str, tool_input: dict[str, Any], *, cwd: str = CWD, **more: Any) -> Facts:
    body = {"hook_event_name": "PreToolUse", "tool_name": tool, "tool_input": tool_input, "cwd": cwd, **more}
    return facts_of(event_from(Read(body, altered=False, truncated=())))


def only_path(tool: str, tool_input: dict[str, Any], cwd: str = CWD) -> dict[str, Any]:
    (found,) = facts(tool, tool_input, cwd=cwd).attributes()["paths"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("tool", "field", "access", "recursive"),
    [
        ("Read", "file_path", Access.READ, False),
        ("Write", "file_path", Access.WRITE, False),
        ("Edit", "file_path", Access.WRITE, False),
        ("NotebookEdit", "notebook_path", Access.WRITE, False),
        ("Glob", "path", Access.SEARCH, True),
        ("Grep", "path", Access.SEARCH, True),
    ],
)
def test_each_file_tool_names_its_path_and_what_is_done_with_it(
    tool: str, field: str, access: Access, recursive: bool
) -> None:
    assert only_path(tool, {field: "/home/dev/project/src/../.ENV"}) == {
        "path": "/home/dev/project/.ENV",
        "written": "/home/dev/project/src/../.ENV",
        "folded": "/home/dev/project/.env",
        "home": "~/project/.ENV",
        "access": access.value,
        "inside_project": True,
        "recursive": recursive,
        "program": "",
        "indirect": False,
        "dynamic": False,
    }


@pytest.mark.parametrize(
    ("written", "path", "inside"),
    [
        ("/etc/passwd", "/etc/passwd", False),
        ("/home/dev/project/../../../etc/passwd", "/etc/passwd", False),
        ("src/a.py", "/home/dev/project/src/a.py", True),
        ("../other/a", "/home/dev/other/a", False),
        ("//etc//passwd", "/etc/passwd", False),
        ("/home/dev/project", "/home/dev/project", True),
        ("/home/dev/projects", "/home/dev/projects", False),
        (" /etc/hostname\u00a0\ufeff", "/etc/hostname", False),
        ("~/../../../../etc/hostname", "/etc/hostname", False),
        ("~/.ssh/id_rsa", "/home/dev/.ssh/id_rsa", False),
        ("~", "/home/dev", False),
        ("~other/x", "/home/dev/project/~other/x", True),
        ("", "/home/dev/project", True),
        (" ", "/home/dev/project", True),
    ],
)
def test_a_search_path_is_read_as_the_client_reads_it(written: str, path: str, inside: bool) -> None:
    found = only_path("Grep", {"path": written})
    assert (found["path"], found["inside_project"], found["written"]) == (path, inside, written)


def test_a_search_without_a_path_searches_the_working_directory() -> None:
    for tool in ("Glob", "Grep"):
        assert only_path(tool, {})["path"] == CWD
        assert only_path(tool, {"path": None})["recursive"]


@pytest.mark.parametrize(
    ("tool", "tool_input", "second"),
    [
        ("Glob", {"pattern": "/etc/*.conf"}, "/etc/*.conf"),
        ("Glob", {"pattern": "../../x/*"}, "/home/x/*"),
        ("Glob", {"path": "/w", "pattern": "**/*.py"}, "/w/**/*.py"),
        ("Glob", {"pattern": "~/.ssh/*"}, "/home/dev/.ssh/*"),
        ("Grep", {"pattern": "x", "glob": "../*.env"}, "/home/dev/*.env"),
    ],
)
def test_a_pattern_may_lead_elsewhere_and_is_a_path_of_its_own(
    tool: str, tool_input: dict[str, Any], second: str
) -> None:
    found = facts(tool, tool_input).attributes()["paths"]
    assert [path["path"] for path in found][1:] == [second]


def test_what_cannot_be_told_makes_a_call_opaque_with_the_reason() -> None:
    assert facts("Read", {}).opaque_reasons == ("path_missing",)
    assert facts("Read", {"file_path": ["/etc/passwd"]}).opaque_reasons == ("path_missing",)
    assert facts("Read", {"file_path": "a"}, cwd="").opaque_reasons == ("cwd_missing",)
    assert facts("Read", {"file_path": "/a\0b"}).opaque_reasons == ("control_character",)
    assert facts("Read", {"file_path": "/" + "x" * 5000}).opaque_reasons == ("path_too_long",)
    assert all(facts("Read", tool_input).opaque for tool_input in ({}, {"file_path": "/a\0b"}))
    assert not facts("Read", {"file_path": "/a"}).opaque


def test_a_call_is_inside_the_project_only_if_all_its_paths_are() -> None:
    assert facts("Read", {"file_path": "src/a"}).inside_project
    assert not facts("Glob", {"pattern": "/etc/*"}).inside_project
    assert facts("Bash", {"command": "cat src/a"}).inside_project
    assert not facts("Bash", {"command": "cat /etc/passwd"}).inside_project
    assert not facts("Read", {"file_path": "/a"}, cwd="").inside_project


def test_what_was_dropped_or_altered_while_reading_is_told() -> None:
    body = {"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {}, "facts": {"opaque": False}}
    found = facts_of(event_from(Read(body, altered=True, truncated=("tool_response",)))).attributes()
    assert (found["altered"], found["dropped"], found["truncated"]) == (True, ("facts",), ("tool_response",))


def test_facts_are_complete_for_each_recorded_request(recording: Recorded) -> None:
    found = facts_of(event_from(Read(recording.body, altered=False, truncated=()))).attributes()
    assert set(found) == KEYS
    assert set(json.loads(json.dumps(found))) == KEYS
    for path in found["paths"]:
        assert path["path"].startswith("/")
        assert path["inside_project"] == (path["path"] + "/").startswith(recording.body["cwd"] + "/")
    assert not found["opaque"]


@given(
    tool=st.sampled_from(["Read", "Write", "Edit", "NotebookEdit", "Glob", "Grep", "Bash", "mcp__a__b"]),
    value=paths | sent_values,
    cwd=paths | directories | sent_values,
    rest=sent_objects,
)
def test_facts_are_complete_whatever_the_input_holds(tool: str, value: Any, cwd: Any, rest: dict[str, Any]) -> None:
    tool_input = {**rest, "file_path": value, "notebook_path": value, "path": value, "pattern": value, "glob": value}
    found = facts(tool, tool_input, cwd=cwd).attributes()
    assert set(found) == KEYS
    assert found["opaque"] == bool(found["opaque_reasons"])
    assert found["inside_project"] == all(path["inside_project"] for path in found["paths"])
    json.dumps(found, allow_nan=False).encode("utf-8")


def test_trimming_takes_what_javascript_takes_and_nothing_else() -> None:
    spaces = {char for char in map(chr, range(0x10000)) if unicodedata.category(char) == "Zs"}
    spaces |= set("\t\n\v\f\r\u2028\u2029\ufeff")
    for char in map(chr, range(0x10000)):
        assert (trimmed(f"{char}a{char}") == "a") == (char in spaces), hex(ord(char))


def is_drive(path: str) -> bool:
    """Whether a path begins with a drive's letter."""
    return path[1:2] == ":" and path[:1].isalpha()


@given(written=paths, cwd=directories)
@example(written="~/../../../..", cwd=CWD)
@example(written="..", cwd="/")
@example(written="//", cwd="")
def test_a_resolved_path_is_normal_and_absolute_where_the_working_directory_is(written: str, cwd: str) -> None:
    path = resolved(written, cwd)
    # What begins with a drive's letter is a Windows path.
    assume(path and not is_drive(path))
    assert "//" not in path
    assert "/./" not in path
    if path.startswith("/"):
        assert ".." not in path.split("/")
        assert path == "/" or not path.endswith("/")
    elif cwd.startswith("/"):
        assert path.split("/")[0] == "~" or home_of(cwd) == ""
    if not written.startswith("~") and cwd.startswith("/"):
        assert path == "/" + posixpath.normpath(posixpath.join(cwd, written)).lstrip("/")


@given(written=paths, cwd=directories, directory=directories)
def test_below_means_the_directory_or_something_in_it(written: str, cwd: str, directory: str) -> None:
    path = resolved(written, cwd)
    assume(path.startswith("/"))
    expected = False
    if directory.startswith("/"):
        root = PurePosixPath(resolved(directory, ""))
        expected = root == PurePosixPath(path) or root in PurePosixPath(path).parents
    assert is_below(path, directory) == expected


@pytest.mark.parametrize(
    ("path", "home"),
    [
        ("/home/dev/.ssh/id", "~/.ssh/id"),
        ("/Users/dev/.ssh/id", "~/.ssh/id"),
        ("/root/.ssh/id", "~/.ssh/id"),
        ("/home/dev", "~"),
        ("~/.ssh/id", "~/.ssh/id"),
        ("/home", ""),
        ("/rooted/x", ""),
        ("/etc/passwd", ""),
    ],
)
def test_home_directories_are_folded_to_a_tilde(path: str, home: str) -> None:
    assert folded_home(path) == home


@pytest.mark.parametrize("name", [".ENV", ".Env", "\uff0eenv", ".\uff45nv", ".en\u24e5"])
def test_names_that_a_folding_file_system_takes_for_one_fold_alike(name: str) -> None:
    assert folded(f"/w/{name}") == "/w/.env"


@given(text=st.text())
def test_paths_of_any_text_never_fail(text: str) -> None:
    for cwd in (text, CWD, ""):
        path = resolved(trimmed(text), cwd)
        folded(path)
        folded_home(path)
        is_below(path, text)
