"""`hookgate audit`: what a person is told of a journal, and with which exit code."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from typer.testing import CliRunner

from hookgate.audit.ledger import Options
from hookgate.audit.lock import lock
from hookgate.audit.record import Record
from hookgate.audit.signing import SigningKey
from hookgate.audit.tail import Tail
from hookgate.commands import app
from tests.conftest import ROOT
from tests.support.journals import lines, record, segments, written

INTACT, UNREADABLE, NOT_INTACT = 0, 1, 5


def told(*arguments: str | Path) -> tuple[int, str]:
    """Runs a command; gives its exit code and what it says."""
    result = CliRunner().invoke(app, ["audit", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of several segments; not to be changed by a test."""
    return written(tmp_path_factory.mktemp("made"), 30, 10, options=Options(segment_bytes=4000))


@pytest.fixture
def journal(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(made, tmp_path / "audit")
    return tmp_path / "audit"


class TestRotateKey:
    def test_the_key_before_announces_the_one_that_signs_from_here_on(self, journal: Path, tmp_path: Path) -> None:
        before = told("key", journal)[1]
        code, text = told("rotate-key", journal)
        assert code == INTACT, text
        following = told("key", journal)[1].splitlines()[0].removeprefix("key id: ")
        assert f"has announced {following}, which signs from here on" in text
        assert following not in before
        own = tmp_path / "own.pem"
        own.write_bytes(SigningKey(Ed25519PrivateKey.generate()).pem())
        assert told("rotate-key", journal, "--key", own)[0] == INTACT
        assert (journal / "signing.key").read_bytes() == own.read_bytes()
        code, text = told("verify", journal)
        assert (code, text.count("key_changed")) == (INTACT, 2)
        assert "is the journal's already" in told("rotate-key", journal, "--key", own)[1]
        assert told("verify", journal)[0] == INTACT

    def test_what_keeps_it_from_rotating_is_told(self, journal: Path, tmp_path: Path) -> None:
        assert "no journal there" in told("rotate-key", tmp_path)[1]
        (tmp_path / "own.pem").write_text("nonsense")
        assert "own.pem is no Ed25519 key" in told("rotate-key", journal, "--key", tmp_path / "own.pem")[1]
        held = lock(journal)
        try:
            assert "has not taken up" in told("rotate-key", journal, "--wait", "1")[1]
        finally:
            os.close(held)
        # The one that waits may be the only copy of a key that signs already: it gives way to no other.
        assert "waits for its turn already" in told("rotate-key", journal, "--key", tmp_path / "own.pem")[1]
        assert told("rotate-key", journal)[0] == INTACT
        assert told("verify", journal)[0] == INTACT


class TestVerify:
    def test_says_that_a_journal_is_intact_and_up_to_where_it_is_signed(self, made: Path) -> None:
        code, text = told("verify", made)
        assert code == INTACT
        last = lines(made)[-1]["seq"]
        assert f"signed up to line {last}" in text
        assert text.splitlines()[-1] == f"{made}: intact"

    def test_says_what_is_wrong_and_where(self, journal: Path) -> None:
        path = segments(journal)[0]
        content = path.read_bytes().splitlines(keepends=True)
        content[3] = content[3].replace(b"decision", b"decisiom")
        path.write_bytes(b"".join(content))
        code, text = told("verify", journal)
        assert code == NOT_INTACT
        assert f"{path.name}:4  changed  the line's hash does not hold" in text
        assert "NOT intact: 1 findings" in text

    def test_gives_the_same_as_json(self, journal: Path) -> None:
        segments(journal)[1].unlink()
        code, text = told("verify", journal, "--json")
        found = json.loads(text)
        assert code == NOT_INTACT
        assert found["intact"] is False
        assert [one["kind"] for one in found["findings"]] == ["removed_segment"]

    def test_finds_a_cut_tail_against_a_checkpoint_that_was_kept(self, journal: Path, tmp_path: Path) -> None:
        kept = tmp_path / "kept.json"
        kept.write_text(told("checkpoint", journal)[1])
        assert told("verify", journal, "--against", kept)[0] == INTACT
        # The formatting of JSON is nobody's business.
        kept.write_text(json.dumps(json.loads(kept.read_text()), indent=4))
        segments(journal)[-1].unlink()
        assert told("verify", journal)[0] == INTACT
        code, text = told("verify", journal, "--against", kept)
        assert code == NOT_INTACT
        assert "cut_tail" in text

    def test_takes_only_the_keys_that_it_is_told_to_trust(self, made: Path) -> None:
        key_id = told("key", made)[1].splitlines()[0].removeprefix("key id: ")
        assert told("verify", made, "--trust", key_id)[0] == INTACT
        code, text = told("verify", made, "--trust", "0" * 16)
        assert code == NOT_INTACT
        assert "wrong_key" in text

    @pytest.mark.parametrize("content", ["", "{}", "[]", '{"seq":1,"type":"decision"}', None])
    def test_refuses_what_is_no_checkpoint_in_one_line(self, made: Path, tmp_path: Path, content: str | None) -> None:
        kept = tmp_path / "kept.json"
        if content is not None:
            kept.write_text(content)
        code, text = told("verify", made, "--against", kept)
        assert code == UNREADABLE
        assert text.startswith(f"hookgate: --against {kept}: ")
        assert len(text.splitlines()) == 1

    @pytest.mark.parametrize("command", ["verify", "checkpoint", "key", "tail"])
    def test_a_directory_without_a_journal_is_one_clear_line(self, tmp_path: Path, command: str) -> None:
        code, text = told(command, tmp_path)
        assert code == UNREADABLE
        assert text.startswith(f"hookgate: {tmp_path}: no ")
        assert len(text.splitlines()) == 1


def test_the_newest_checkpoint_is_printed(made: Path) -> None:
    code, text = told("checkpoint", made)
    assert code == 0
    assert json.loads(text) == lines(made)[-1]


def test_the_public_key_is_printed_in_pem(made: Path) -> None:
    code, text = told("key", made)
    assert code == 0
    load_pem_public_key(text.encode())
    assert text.splitlines()[0] == f"key id: {lines(made)[0]['detail']['key_id']}"


def decision(**fields: Any) -> bytes:
    """Gives the line of a whole decision."""
    made = Record(
        **{"id": "D", "time": "2026-01-01T10:00:00Z", "outcome": "deny", "mode": "enforce", "event": "PreToolUse"}
        | fields
    )
    return msgspec.json.encode(made) + b"\n"


class TestTail:
    def test_shows_the_newest_lines_without_checkpoints(self, made: Path) -> None:
        code, text = told("tail", made, "-n", "3")
        assert code == 0
        assert len(text.splitlines()) == 2
        assert "1-9" in text
        assert "checkpoint" not in text
        assert told("tail", made, "-n", "3", "--checkpoints")[1].count("checkpoint") == 1

    def test_gives_records_of_earlier_segments_too(self, made: Path) -> None:
        _, text = told("tail", made, "--lines", "1000", "--checkpoints", "--json")
        assert [json.loads(line) for line in text.splitlines()] == lines(made)

    def test_shows_a_decision_and_makes_what_it_holds_harmless(self, journal: Path) -> None:
        nasty = "rm \x1b[2J\u202e\u009b31m\n\u2028 x"
        line = decision(user=nasty, tool="Bash", input={"command": nasty}, reason=nasty)
        with segments(journal)[-1].open("ab") as stream:
            stream.write(line + record(nasty, kind=nasty) + b"\x1b]0;title\x07 no record \xff\n")
        for options in ([], ["--json"]):
            _, text = told("tail", journal, "-n", "3", *options)
            assert len(text.splitlines()) == 3
            assert not any(char in text for char in "\x1b\u202e\u009b\x07\u2028")
        _, text = told("tail", journal, "-n", "3")
        assert "PreToolUse" in text
        assert "deny" in text
        assert "not a record" in text

    @pytest.mark.parametrize("spoilt", [b'{"type":"decision"}\n', b"[]\n", b'{"type":"decision","time":3}\n', b"{}\n"])
    def test_shows_what_is_no_proper_record_as_it_is(self, journal: Path, spoilt: bytes) -> None:
        with segments(journal)[-1].open("ab") as stream:
            stream.write(spoilt)
        code, text = told("tail", journal, "-n", "1")
        assert (code, len(text.splitlines())) == (0, 1)

    def test_a_line_that_is_being_written_is_shown_when_it_is_whole(self, journal: Path) -> None:
        path = segments(journal)[-1]
        whole = record("whole")
        with path.open("ab", buffering=0) as stream:
            stream.write(whole[:10])
            tail = Tail(journal, 1)
            assert b"checkpoint" in tail.new()[0]
            assert tail.new() == []
            stream.write(whole[10:] + whole[:5])
            assert tail.new() == [whole[:-1]]
            stream.write(whole[5:])
            assert tail.new() == [whole[:-1]]
        following = path.with_name(f"{10**15:016}.jsonl")
        following.write_bytes(record("another"))
        assert [json.loads(line)["id"] for line in tail.new()] == ["another"]

    def test_goes_on_behind_a_segment_that_was_removed(self, journal: Path) -> None:
        path = segments(journal)[-1]
        tail = Tail(journal, 0)
        assert tail.new() == []
        path.with_name(f"{10**15:016}.jsonl").write_bytes(record("another"))
        path.unlink()
        assert [json.loads(line)["id"] for line in tail.new()] == ["another"]

    def test_goes_on_with_what_comes(self, journal: Path) -> None:
        command = [sys.executable, "-m", "hookgate", "audit", "tail", "-f", "-n", "1", "--json", str(journal)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, env={"PYTHONPATH": str(ROOT / "proxy"), "PYTHONUNBUFFERED": "1"}
        ) as process:
            assert process.stdout is not None
            with segments(journal)[-1].open("ab") as stream:
                stream.write(record("came"))
            assert json.loads(process.stdout.readline())["id"] == "came"
            process.terminate()
