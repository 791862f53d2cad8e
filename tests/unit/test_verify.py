"""Verification: whatever is done to a journal is found, and where it was done is told."""

import base64
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from hookgate.audit import verify as module
from hookgate.audit.chain import BEGINNING, Link, linked, taken_apart
from hookgate.audit.checkpoint import CheckpointLine, Signer, checkpoint_from
from hookgate.audit.error import JournalError
from hookgate.audit.finding import FindingKind as Kind
from hookgate.audit.finding import Verification
from hookgate.audit.ledger import Options
from hookgate.audit.recovery import newest_checkpoint
from hookgate.audit.rotation import announcement, changed_line
from hookgate.audit.signing import SigningKey, signing_key
from hookgate.audit.verify import verify
from hookgate.ids import uuid7
from tests.support.journals import record, segments, written

#: Each line of the journal that the tests change, with its segment.
Lines = list[tuple[str, bytes]]


@pytest.fixture(scope="module")
def journal() -> Iterator[Path]:
    """A journal of several segments from two runs; not to be changed by a test."""
    directory = Path(tempfile.mkdtemp(prefix="journal-"))
    yield written(directory, 25, 20, options=Options(segment_bytes=4000))
    shutil.rmtree(directory)


def read(directory: Path) -> Lines:
    """Gives all lines, without their line ends."""
    return [(path.name, line) for path in segments(directory) for line in path.read_bytes().split(b"\n")[:-1]]


def verified(
    lines: Lines, original: Path, *, end: bytes = b"\n", against: CheckpointLine | None = None
) -> Verification:
    """Verifies a journal of these lines, with the keys of the original beside it."""
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        (directory / "segments").mkdir()
        shutil.copy(original / "signing.pub", directory)
        for name in dict.fromkeys(name for name, _ in lines):
            content = b"".join(line + b"\n" for segment, line in lines if segment == name)
            is_last = name == lines[-1][0]
            (directory / "segments" / name).write_bytes(content[:-1] + end if is_last else content)
        return verify(directory, against=against)


def newest(directory: Path) -> CheckpointLine:
    """Gives the journal's last checkpoint."""
    _, found = newest_checkpoint(directory)
    assert found is not None
    return found


def kinds(found: Verification) -> list[Kind]:
    """Gives what was found."""
    return [finding.kind for finding in found.findings]


def rechained(lines: Lines, changed: dict[int, bytes], signer: Signer | None = None) -> Lines:
    """Gives the lines with other records in some places and every hash made anew; with a signer, all checkpoints too."""
    end: Link = BEGINNING
    made: Lines = []
    for at, (name, line) in enumerate(lines):
        parts = taken_apart(line)
        assert parts is not None
        body = changed.get(at, parts.body)
        if signer is not None and b'"type":"checkpoint"' in body:
            body = signer.checkpoint(end)[:-1]
        whole, end = linked(end, body + b"\n")
        made.append((name, whole[:-1]))
    return made


def edited(line: bytes) -> bytes:
    """Gives the record of a line with its id changed."""
    parts = taken_apart(line)
    assert parts is not None
    return parts.body.replace(b'"id": "', b'"id": "not-')


def a_decision(lines: Lines, data: st.DataObject) -> int:
    return data.draw(st.sampled_from([at for at, (_, line) in enumerate(lines) if b'"type": "decision"' in line]))


class TestAnIntactJournal:
    def test_is_found_intact(self, journal: Path) -> None:
        found = verify(journal)
        assert (found.intact, found.findings) == (True, ())
        assert found.segments > 2
        assert found.lines == found.last_seq == found.signed_seq == len(read(journal))
        assert [notice.kind.value for notice in found.notices] == ["new_chain"]

    def test_is_intact_against_each_of_its_own_checkpoints(self, journal: Path) -> None:
        checkpoints = [found for _, line in read(journal) if (found := checkpoint_from(line))]
        assert len(checkpoints) > 5
        assert all(verify(journal, against=one).intact for one in checkpoints)

    def test_of_a_hundred_thousand_records_is_verified_within_seconds(self, tmp_path: Path) -> None:
        directory = written(tmp_path, 4)
        with (directory / "segments" / f"{1:016}.jsonl").open("ab") as stream:
            end = Link(newest(directory).seq, newest(directory).hash.encode())
            pad = "x" * 600
            for number in range(100_000):
                line, end = linked(end, record(f"{number} {pad}"))
                stream.write(line)
        begun = time.monotonic()
        found = verify(directory)
        assert time.monotonic() - begun < 15
        assert (found.intact, found.lines) == (True, 100_000 + newest(directory).seq)

    def test_tells_how_far_it_is(self, journal: Path) -> None:
        done: list[int] = []
        found = verify(journal, progress=done.append)
        assert sum(done) == found.size_bytes == sum(path.stat().st_size for path in segments(journal))

    def test_that_is_being_written_is_waited_for(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        directory = written(tmp_path, 3)
        path = segments(directory)[0]
        whole = path.read_bytes()
        path.write_bytes(whole[:-30])
        monkeypatch.setattr("hookgate.audit.verify.time.sleep", lambda seconds: path.write_bytes(whole))
        assert verify(directory).intact


class TestAnyEdit:
    """Random edits: found, and located to the line."""

    @given(data=st.data())
    def test_a_changed_byte_is_found_in_its_line(self, journal: Path, data: st.DataObject) -> None:
        lines = read(journal)
        at = data.draw(st.integers(0, len(lines) - 1))
        name, line = lines[at]
        position = data.draw(st.integers(0, len(line) - 1))
        byte = data.draw(st.integers(0, 255).filter(lambda value: value not in (line[position], 10)))
        lines[at] = name, line[:position] + bytes([byte]) + line[position + 1 :]
        found = verified(lines, journal)
        assert kinds(found) == [Kind.CHANGED]
        assert found.findings[0].seq == at + 1
        assert found.findings[0].segment == name

    @given(data=st.data())
    def test_a_line_end_put_in_or_taken_out_is_found(self, journal: Path, data: st.DataObject) -> None:
        lines = read(journal)
        at = data.draw(st.integers(0, len(lines) - 2))
        name, line = lines[at]
        if data.draw(st.booleans()):
            position = data.draw(st.integers(0, len(line) - 1))
            lines[at : at + 1] = [(name, line[:position]), (name, line[position:])]
        else:
            lines[at : at + 2] = [(name, line + lines[at + 1][1])]
        found = verified(lines, journal)
        assert not found.intact
        assert found.findings[0].seq == at + 1

    @given(data=st.data())
    def test_removed_lines_are_found(self, journal: Path, data: st.DataObject) -> None:
        lines = read(journal)
        at = data.draw(st.integers(0, len(lines) - 2))
        count = data.draw(st.integers(1, min(5, len(lines) - 1 - at)))
        removed = lines[at : at + count]
        del lines[at : at + count]
        found = verified(lines, journal)
        assert {Kind.REMOVED, Kind.REMOVED_SEGMENT} & set(kinds(found))
        first = next(finding for finding in found.findings if finding.kind in (Kind.REMOVED, Kind.REMOVED_SEGMENT))
        assert first.seq == at + 1
        assert str(at + count) in first.detail
        assert len(removed) == count

    @given(data=st.data())
    def test_an_inserted_line_is_found(self, journal: Path, data: st.DataObject) -> None:
        lines = read(journal)
        at = data.draw(st.integers(1, len(lines) - 1))
        name = lines[at][0]
        stranger = data.draw(st.sampled_from([b"{}", b"", b"hello", record("forged")[:-1], b'{"seq":3,"prev":"00"}']))
        lines.insert(at, (name, stranger))
        found = verified(lines, journal)
        assert kinds(found) == [Kind.INSERTED]
        assert found.findings[0].seq == at + 1

    @given(data=st.data())
    def test_a_copied_line_is_found(self, journal: Path, data: st.DataObject) -> None:
        lines = read(journal)
        source = data.draw(st.integers(0, len(lines) - 1))
        at = data.draw(st.integers(1, len(lines) - 1))
        lines.insert(at, (lines[at][0], lines[source][1]))
        found = verified(lines, journal)
        assert kinds(found) == [Kind.INSERTED]
        assert found.findings[0].seq == source + 1

    @given(data=st.data())
    def test_a_forged_line_with_a_fitting_hash_is_found(self, journal: Path, data: st.DataObject) -> None:
        lines = read(journal)
        at = data.draw(st.integers(1, len(lines) - 1))
        before = taken_apart(lines[at - 1][1])
        assert before is not None
        forged, _ = linked(Link(before.seq, before.hash), record("forged"))
        lines.insert(at, (lines[at][0], forged[:-1]))
        found = verified(lines, journal)
        assert not found.intact
        assert found.findings[0].seq in (at, at + 1)

    @given(data=st.data())
    def test_swapped_lines_are_found(self, journal: Path, data: st.DataObject) -> None:
        lines = read(journal)
        first = data.draw(st.integers(0, len(lines) - 3))
        second = data.draw(st.integers(first + 1, len(lines) - 2))
        (name, a), (other, b) = lines[first], lines[second]
        lines[first], lines[second] = (name, b), (other, a)
        found = verified(lines, journal)
        assert Kind.SWAPPED in kinds(found)
        assert {finding.seq for finding in found.findings} <= {first + 1, second + 1, first + 2}
        assert found.found <= 4

    @given(data=st.data())
    def test_a_cut_tail_is_found_against_a_kept_checkpoint(self, journal: Path, data: st.DataObject) -> None:
        lines = read(journal)
        left = data.draw(st.integers(1, len(lines) - 1))
        found = verified(lines[:left], journal, against=newest(journal))
        assert Kind.CUT_TAIL in kinds(found)
        assert next(one.seq for one in found.findings if one.kind is Kind.CUT_TAIL) == left + 1

    @given(data=st.data())
    def test_a_tail_that_is_cut_within_a_line_is_found_without_one(self, journal: Path, data: st.DataObject) -> None:
        lines = read(journal)
        at = data.draw(st.integers(0, len(lines) - 1))
        name, line = lines[at]
        left = data.draw(st.integers(1, len(line)))
        module._TORN_SECONDS = 0.0
        found = verified([*lines[:at], (name, line[:left])], journal, end=b"")
        assert kinds(found) == [Kind.CUT_TAIL]
        assert (found.findings[0].seq, found.findings[0].segment) == (at + 1, name)

    @given(data=st.data())
    def test_a_removed_segment_is_found(self, journal: Path, data: st.DataObject) -> None:
        lines = read(journal)
        names = list(dict.fromkeys(name for name, _ in lines))
        gone = data.draw(st.sampled_from(names[:-1]))
        found = verified([one for one in lines if one[0] != gone], journal)
        assert Kind.REMOVED_SEGMENT in kinds(found)
        finding = next(one for one in found.findings if one.kind is Kind.REMOVED_SEGMENT)
        assert finding.seq == int(gone[:16])

    @given(data=st.data())
    def test_a_change_with_every_hash_made_anew_is_found_by_the_next_checkpoint(
        self, journal: Path, data: st.DataObject
    ) -> None:
        lines = read(journal)
        at = a_decision(lines, data)
        found = verified(rechained(lines, {at: edited(lines[at][1])}), journal)
        assert set(kinds(found)) == {Kind.CHANGED}
        following = next(n for n in range(at, len(lines)) if b'"type":"checkpoint"' in lines[n][1])
        first = found.findings[0]
        assert first.seq <= at + 1 <= following + 1
        assert f"to {following} are not those that were signed" in first.detail

    @given(data=st.data())
    def test_a_journal_that_is_signed_anew_with_another_key_is_found(self, journal: Path, data: st.DataObject) -> None:
        lines = read(journal)
        at = a_decision(lines, data)
        signer = Signer(newest(journal).detail.instance, SigningKey(Ed25519PrivateKey.generate()))
        found = verified(rechained(lines, {at: edited(lines[at][1])}, signer), journal)
        assert kinds(found) == [Kind.WRONG_KEY]

    @given(data=st.data())
    def test_a_checkpoint_whose_signature_was_taken_from_another_is_found(
        self, journal: Path, data: st.DataObject
    ) -> None:
        lines = read(journal)
        places = [at for at, (_, line) in enumerate(lines) if b'"type":"checkpoint"' in line]
        at = data.draw(st.sampled_from(places[1:]))
        mine, first = checkpoint_from(lines[at][1]), checkpoint_from(lines[places[0]][1])
        assert mine is not None
        assert first is not None
        parts = taken_apart(lines[at][1])
        assert parts is not None
        body = parts.body.replace(mine.detail.signature.encode(), first.detail.signature.encode())
        found = verified(rechained(lines, {at: body}), journal)
        assert [one.seq for one in found.findings if one.kind is Kind.FORGED_CHECKPOINT] == [at + 1]


class TestForgers:
    def test_who_has_the_key_is_found_against_a_kept_checkpoint(self, journal: Path) -> None:
        lines = read(journal)
        at = next(n for n, (_, line) in enumerate(lines) if b'"type": "decision"' in line)
        signer = Signer(newest(journal).detail.instance, signing_key(journal))
        forged = rechained(lines, {at: edited(lines[at][1])}, signer)
        assert verified(forged, journal).intact
        found = verified(forged, journal, against=newest(journal))
        assert kinds(found) == [Kind.CHANGED, Kind.CHANGED]
        assert "kept checkpoint" in found.findings[0].detail

    def test_a_journal_begun_anew_is_found_against_a_kept_checkpoint_and_by_its_key(
        self, journal: Path, tmp_path: Path
    ) -> None:
        anew = written(tmp_path, 60)
        assert verify(anew).intact
        assert kinds(verify(anew, against=newest(journal)))[0] is Kind.CHANGED
        assert Kind.OTHER_JOURNAL in kinds(verify(anew, against=newest(journal)))
        assert kinds(verify(anew, trusted=verify(journal).keys)) == [Kind.WRONG_KEY]

    def test_a_kept_checkpoint_that_was_changed_is_not_believed(self, journal: Path) -> None:
        kept = newest(journal)
        changed = msgspec.structs.replace(kept, time="2020-01-01T00:00:00.000000Z")
        assert kinds(verify(journal, against=changed)) == [Kind.FORGED_CHECKPOINT]

    def test_another_public_key_beside_the_journal_is_found(self, journal: Path, tmp_path: Path) -> None:
        shutil.copytree(journal, tmp_path / "copy")
        (tmp_path / "copy" / "signing.pub").write_bytes(SigningKey(Ed25519PrivateKey.generate()).public.pem())
        assert kinds(verify(tmp_path / "copy")) == [Kind.WRONG_KEY]

    @pytest.mark.parametrize("by", ["the key before", "itself", "another chain's", "nobody"])
    def test_a_key_counts_only_where_the_one_before_has_announced_it_for_this_chain(
        self, journal: Path, tmp_path: Path, by: str
    ) -> None:
        shutil.copytree(journal, tmp_path / "copy")
        mine, key = newest(journal).detail.instance, SigningKey(Ed25519PrivateKey.generate())
        before = signing_key(journal)
        signer = {
            "the key before": Signer(mine, before),
            "itself": Signer(mine, key),
            "another chain's": Signer(uuid7(), before),
        }.get(by)
        unsigned = changed_line(mine, before.public.id, key.public, "nonsense")
        record = announcement(signer, key.public) if signer is not None else unsigned
        last = segments(tmp_path / "copy")[-1]
        end = taken_apart(last.read_bytes().splitlines(keepends=True)[-1])
        assert end is not None
        with last.open("ab") as segment:
            line, link = linked(Link(end.seq, end.hash), record)
            segment.write(line + linked(link, Signer(mine, key).checkpoint(link))[0])
        (tmp_path / "copy" / "signing.pub").write_bytes(key.public.pem())
        found = verify(tmp_path / "copy")
        assert kinds(found) == ([] if by == "the key before" else [Kind.NEW_KEY])
        assert found.keys[-1] == key.public.id

    def test_a_segment_with_another_name_is_found(self, journal: Path, tmp_path: Path) -> None:
        shutil.copytree(journal, tmp_path / "copy")
        path = segments(tmp_path / "copy")[1]
        path.rename(path.with_name(f"{int(path.name[:16]) + 1:016}.jsonl"))
        assert kinds(verify(tmp_path / "copy")) == [Kind.WRONG_NAME]


class Forge:
    """Writes a journal with a key of its own, line by line, at times of its choice."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        directory.mkdir()
        self.directory = directory
        self._monkeypatch = monkeypatch
        self._end = BEGINNING
        self._signer = Signer(uuid7(), signing_key(directory))
        self._made: list[bytes] = []
        public = self._signer.key.public
        detail = {"instance": self._signer.instance, "key_id": public.id, "public_key": public.raw.hex()}
        start = {"type": "chain_start", "time": "2026-01-01T00:00:00Z", "detail": detail}
        self.add(json.dumps(start).encode() + b"\n")

    def add(self, line: bytes) -> None:
        whole, self._end = linked(self._end, line)
        self._made.append(whole)

    def checkpoint(self, at: str) -> None:
        self._monkeypatch.setattr("hookgate.audit.checkpoint.now", lambda: at)
        self.add(self._signer.checkpoint(self._end))

    def verified(self) -> Verification:
        (self.directory / "segments").mkdir()
        (self.directory / "segments" / f"{1:016}.jsonl").write_bytes(b"".join(self._made))
        return verify(self.directory)


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Forge:
    return Forge(tmp_path / "forged", monkeypatch)


class TestTime:
    def test_a_clock_that_ran_backwards_is_found(self, forge: Forge) -> None:
        forge.checkpoint("2026-01-01T00:00:10Z")
        forge.checkpoint("2026-01-01T00:00:05Z")
        found = forge.verified()
        assert kinds(found) == [Kind.CLOCK_BACKWARDS]
        assert "5.0 s" in found.findings[0].detail

    def test_a_clock_that_is_corrected_a_little_is_none(self, forge: Forge) -> None:
        forge.checkpoint("2026-01-01T00:00:10Z")
        forge.checkpoint("2026-01-01T00:00:09.5Z")
        assert forge.verified().intact

    def test_lines_that_nobody_vouches_for_are_found(self, forge: Forge) -> None:
        forge.checkpoint("2026-01-01T00:00:10Z")
        forge.add(record("in time", time="2026-01-01T00:01:05Z"))
        forge.add(record("too late", time="2026-01-01T00:01:15Z"))
        forge.add(record("later", time="2026-01-01T00:05:00Z"))
        found = forge.verified()
        assert [(one.kind, one.seq) for one in found.findings] == [(Kind.MISSING_CHECKPOINT, 4)]

    def test_a_chain_without_any_checkpoint_is_none_that_holds(self, forge: Forge) -> None:
        forge.add(record("first", time="2026-01-01T00:00:01Z"))
        forge.add(record("second", time="2026-01-01T00:00:02Z"))
        assert [(one.kind, one.seq) for one in forge.verified().findings] == [(Kind.MISSING_CHECKPOINT, 2)]

    def test_silence_is_told_unless_the_service_was_stopped(self, forge: Forge) -> None:
        forge.checkpoint("2026-01-01T00:00:10Z")
        forge.checkpoint("2026-01-01T00:05:00Z")
        forge.add(record(kind="stop", time="2026-01-01T00:05:01Z"))
        forge.checkpoint("2026-01-01T00:05:01Z")
        forge.checkpoint("2026-01-01T09:00:00Z")
        found = forge.verified()
        assert found.intact
        silences = [notice for notice in found.notices if notice.kind.value == "silence"]
        assert [silence.seq for silence in silences] == [3]

    def test_a_line_forged_behind_the_end_of_a_run_is_found_although_the_next_run_signs_it(self, forge: Forge) -> None:
        forge.checkpoint("2026-01-01T00:00:00Z")
        forge.add(record(kind="stop", time="2026-01-01T00:00:01Z"))
        forge.checkpoint("2026-01-01T00:00:02Z")
        forge.add(record("forged", time="2026-01-01T00:00:03Z"))
        forge.checkpoint("2026-01-01T00:00:04Z")
        found = forge.verified()
        assert [(one.kind, one.seq) for one in found.findings] == [(Kind.INSERTED, 5)]

    def test_a_run_that_died_before_its_last_checkpoint_is_followed_by_the_next_one(self, forge: Forge) -> None:
        forge.checkpoint("2026-01-01T00:00:00Z")
        forge.add(record(kind="stop", time="2026-01-01T00:00:01Z"))
        forge.checkpoint("2026-01-01T00:00:02Z")
        forge.add(record(kind="start", time="2026-01-01T00:00:02Z"))
        assert forge.verified().intact

    def test_lines_of_the_next_run_are_none(self, forge: Forge) -> None:
        for minute in range(2):
            forge.checkpoint(f"2026-01-01T00:{minute:02}:02Z")
            forge.add(record(kind="start", time=f"2026-01-01T00:{minute:02}:02Z"))
            forge.add(record("a decision", time=f"2026-01-01T00:{minute:02}:03Z"))
            forge.add(record(kind="stop", time=f"2026-01-01T00:{minute:02}:04Z"))
            forge.checkpoint(f"2026-01-01T00:{minute:02}:05Z")
        assert forge.verified().intact

    def test_lines_without_a_checkpoint_behind_them_yet_are_told(self, forge: Forge) -> None:
        forge.checkpoint("2026-01-01T00:00:10Z")
        forge.add(record("new", time="2026-01-01T00:00:12Z"))
        found = forge.verified()
        assert found.intact
        assert found.notices[-1].detail == "the last 1 lines have no checkpoint behind them yet"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda directory: None, "no journal there"),
        (lambda directory: (directory / "segments").mkdir(), "no journal there"),
        (lambda directory: (directory / "segments").write_text(""), "Not a directory"),
        (lambda directory: (directory / "segments" / f"{1:016}.jsonl").mkdir(parents=True), "Is a directory"),
    ],
)
def test_what_can_t_be_read_is_one_clear_line(tmp_path: Path, spoil: Callable[[Path], None], words: str) -> None:
    spoil(tmp_path)
    with pytest.raises(JournalError, match=words) as caught:
        verify(tmp_path)
    assert "\n" not in str(caught.value)


@given(
    garbage=st.lists(
        st.binary(max_size=60).map(lambda data: data.replace(b"\n", b"")) | st.just(base64.b16encode(b"x" * 40)),
        max_size=8,
    )
)
def test_whatever_a_segment_holds_is_told_and_raises_nothing(journal: Path, garbage: list[bytes]) -> None:
    lines = [(f"{1:016}.jsonl", line) for line in garbage]
    found = verified([*lines, read(journal)[0]], journal)
    assert found.lines == len(garbage) + 1
    assert found.intact is (not garbage)
