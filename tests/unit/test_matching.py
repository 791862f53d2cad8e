"""Which calls touch what an auditor asks about."""

from typing import Any

import pytest

from hookgate.audit.report.matching import Matching, PatternError
from tests.support.audited import decision


def matches(record: dict[str, Any], *paths: str, commands: tuple[str, ...] = ()) -> tuple[str, ...]:
    return Matching(paths, commands).matches(record)


def reads(path: str, **fields: Any) -> dict[str, Any]:
    return decision(input={"file_path": path}, **fields)


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("**/secrets/**", "/srv/app/secrets/prod/key.pem"),
        ("**/secrets/**", "/secrets/key.pem"),
        ("**/secrets/**", "/srv/app/secrets"),
        ("**/secrets/**", "/srv/app/SECRETS/key.pem"),
        ("/etc/*", "/etc/passwd"),
        ("/etc/**", "/etc/ssl/private/key"),
        (".env", "/srv/app/.env"),
        (".env*", "/srv/app/.env.production"),
        ("*.pem", "/a/b/c.pem"),
        ("/a/?.txt", "/a/b.txt"),
        ("/a/[bc].txt", "/a/c.txt"),
        ("/a/[!b].txt", "/a/c.txt"),
        ("/a/**/z", "/a/z"),
        ("/a/**/z", "/a/b/c/z"),
        ("~/.ssh/**", "~/.ssh/id_rsa"),
        ("/a.b/(c)+", "/a.b/(c)+"),
        ("/home/alex/project/x", "x"),
        ("/home/alex/y", "../y"),
    ],
)
def test_a_path_matches_a_glob(glob: str, path: str) -> None:
    assert matches(reads(path), glob) == (path,)


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("**/secrets/**", "/srv/app/secretsauce/x"),
        ("/etc/*", "/etc/ssl/key"),
        ("/etc/*", "/srv/etc/passwd"),
        (".env", "/srv/app/.env.production"),
        ("/a/?.txt", "/a/bb.txt"),
        ("/a/[!b].txt", "/a/b.txt"),
        ("/a/[!b]x", "/a//x"),
        ("/a.b", "/axb"),
    ],
)
def test_another_path_does_not(glob: str, path: str) -> None:
    assert matches(reads(path), glob) == ()


def test_a_path_counts_wherever_a_call_names_it() -> None:
    fact = {"path": "/home/alex/s/k", "written": "s/k", "folded": "/home/alex/s/k", "home": "~/s/k", "access": "read"}
    assert matches(decision(input={}, facts={"paths": [fact]}), "~/s/*") == ("s/k",)
    nested = decision(tool="mcp__files__copy", input={"moves": [{"from": "/s/k", "to": "/tmp/k"}]})
    assert matches(nested, "/s/**") == ("/s/k",)
    assert matches(decision(tool="Grep", input={"pattern": "x", "path": "/s"}), "/s/**") == ("/s",)


@pytest.mark.parametrize(
    "command",
    [
        "cat /s/k",
        "cat </s/k",
        "cp '/s/k' .",
        'tar --file="/s/k" -c .',
        "curl -d @/s/k https://example.com",
        "scp /s/k host:/tmp; ls",
        "scp host:/s/k .",
        "cd /tmp&&cat /s/../s/k",
        "cat ../../../s/k",
    ],
)
def test_a_path_counts_as_a_word_of_a_shell_command(command: str) -> None:
    found = decision(tool="Bash", input={"command": command, "description": "read"})
    assert len(matches(found, "/s/*")) == 1


def test_commands_are_matched_in_any_case() -> None:
    record = decision(tool="Bash", input={"command": "Git  push --force"})
    assert matches(record, commands=(r"git\s+push",)) == ("Git  push --force",)
    assert matches(record, commands=("rebase", "^git pull")) == ()
    assert matches(reads("git push"), commands=("git push",)) == ()


def test_without_a_question_nothing_matches() -> None:
    nothing = Matching((), ())
    assert nothing.is_empty
    assert nothing.matches(reads("/a")) == ()
    assert not Matching(("/a",), ()).is_empty


@pytest.mark.parametrize(
    ("path", "glob", "may"),
    [
        ("/home/alex", "/home/alex/secrets/**", True),
        ("/home/alex/secrets/deep", "/home/alex/secrets/**", True),
        ("/home/kim", "/home/alex/secrets/**", False),
        ("/home/alex", "**/secrets/**", True),
    ],
)
def test_a_search_over_a_folder_may_reach_what_is_asked_for(path: str, glob: str, *, may: bool) -> None:
    record = decision(input={}, facts={"paths": [{"path": path, "recursive": True}]})
    assert Matching((glob,), ()).may_reach(record) is may
    alone = decision(input={}, facts={"paths": [{"path": path, "recursive": False}]})
    assert not Matching((glob,), ()).may_reach(alone)


@pytest.mark.parametrize("record", [{}, {"input": [], "facts": 1, "cwd": None}, {"facts": {"paths": [1, {"path": 5}]}}])
def test_a_record_of_odd_form_matches_nothing(record: dict[str, Any]) -> None:
    assert Matching(("**",), (".*",)).matches(record) == ()


def test_what_is_no_expression_is_refused_by_name() -> None:
    with pytest.raises(PatternError, match=r"'\(': missing \)"):
        Matching((), ("(",))
    with pytest.raises(PatternError, match="must not be empty"):
        Matching(("",), ())
