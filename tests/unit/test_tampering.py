"""Verification of a journal that has seen it all: whatever is done to it is found, and nothing where nothing was done."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from hookgate.audit.chain import Link, linked, taken_apart
from hookgate.audit.checkpoint import CheckpointLine, Signer
from hookgate.audit.finding import FindingKind as Kind
from hookgate.audit.recovery import newest_checkpoint
from hookgate.audit.segments import first_seq
from hookgate.audit.signing import SigningKey
from hookgate.audit.verify import verify
from tests.support.journals import lived, record, segments

STEPS = ("write", "write", "gap", "write", "trim", "write", "write", "trim", "tear", "write", "gap", "write", "restart")

#: The lines of each segment, without their line ends.
Lines = dict[str, list[bytes]]


@pytest.fixture(scope="module")
def journal() -> Iterator[Path]:
    """A journal whose beginning was removed twice; not to be changed by a test."""
    directory = Path(tempfile.mkdtemp(prefix="journal-"))
    yield lived(directory, *STEPS)
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def kept(journal: Path) -> CheckpointLine:
    """The newest checkpoint, as it was kept elsewhere."""
    _, found = newest_checkpoint(journal)
    assert found is not None
    return found


def read(directory: Path) -> Lines:
    """Gives all lines of a journal."""
    return {path.name: path.read_bytes().split(b"\n")[:-1] for path in segments(directory)}


def a_place(lines: Lines, data: st.DataObject) -> tuple[list[bytes], int]:
    """Gives any line: those of its segment, and its place among them."""
    found = lines[data.draw(st.sampled_from(sorted(lines)))]
    return found, data.draw(st.integers(0, len(found) - 1))


def change_a_byte(lines: Lines, data: st.DataObject) -> None:
    found, at = a_place(lines, data)
    line = found[at]
    position = data.draw(st.integers(0, len(line) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value not in (line[position], 10)))
    found[at] = line[:position] + bytes([byte]) + line[position + 1 :]


def remove_lines(lines: Lines, data: st.DataObject) -> None:
    found, at = a_place(lines, data)
    del found[at : at + data.draw(st.integers(1, 4))]


def insert_a_line(lines: Lines, data: st.DataObject) -> None:
    """Not behind the very last one: what nobody has signed yet, anybody may have written, and verification says so."""
    found, at = a_place(lines, data)
    other, source = a_place(lines, data)
    if found is lines[max(lines)]:
        at = min(at, len(found) - 2)
    before = taken_apart(found[at])
    assert before is not None
    fitting, _ = linked(Link(before.seq, before.hash), record("forged"))
    stranger = data.draw(st.sampled_from([b"", b"{}", other[source], fitting[:-1]]))
    found.insert(at + 1, stranger)


def swap_lines(lines: Lines, data: st.DataObject) -> None:
    (one, at), (other, to) = a_place(lines, data), a_place(lines, data)
    if one is other and at == to:
        to = at - 1 if at else min(1, len(one) - 1)
    one[at], other[to] = other[to], one[at]
    if one is other and at == to:
        one.pop()


def remove_a_segment(lines: Lines, data: st.DataObject) -> None:
    del lines[data.draw(st.sampled_from(sorted(lines)))]


def remove_the_beginning(lines: Lines, data: st.DataObject) -> None:
    for name in sorted(lines)[: data.draw(st.integers(1, len(lines) - 1))]:
        del lines[name]


def cut_the_tail(lines: Lines, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(lines)))
    for later in [one for one in lines if one > name]:
        del lines[later]
    del lines[name][data.draw(st.integers(0, len(lines[name]) - 1)) :]


def rename_a_segment(lines: Lines, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(lines)))
    other = f"{first_seq(Path(name)) + data.draw(st.sampled_from([-1, 1])):016}.jsonl"
    lines[other] = lines.pop(name)


def sign_anew(lines: Lines, data: st.DataObject) -> None:
    """With a key of one's own, and every hash made anew."""
    names = sorted(lines)
    first = taken_apart(lines[names[0]][0])
    assert first is not None
    end = Link(first.seq - 1, first.prev)
    signer = Signer("another", SigningKey(Ed25519PrivateKey.generate()))
    for name in names:
        for at, line in enumerate(lines[name]):
            parts = taken_apart(line)
            assert parts is not None
            is_checkpoint = b'"type":"checkpoint"' in parts.body
            whole, end = linked(end, signer.checkpoint(end) if is_checkpoint else parts.body + b"\n")
            lines[name][at] = whole[:-1]


TAMPERING = [
    change_a_byte,
    remove_lines,
    insert_a_line,
    swap_lines,
    remove_a_segment,
    remove_the_beginning,
    cut_the_tail,
    rename_a_segment,
    sign_anew,
]


def put(lines: Lines, original: Path, directory: Path) -> None:
    """Writes a journal of these lines, with the public key of the original beside it."""
    (directory / "segments").mkdir()
    shutil.copy(original / "signing.pub", directory)
    for name, found in lines.items():
        (directory / "segments" / name).write_bytes(b"".join(line + b"\n" for line in found))


def test_the_journal_of_these_tests_has_seen_it_all(journal: Path) -> None:
    found = verify(journal)
    assert found.intact
    assert found.first_seq > 1
    assert found.segments > 3
    assert {"gap", "repair", "retention"} <= {notice.kind.value for notice in found.notices}


@pytest.mark.parametrize("tamper", TAMPERING)
@settings(max_examples=200)
@given(data=st.data())
def test_whatever_is_done_to_a_journal_is_found(
    journal: Path, kept: CheckpointLine, tamper: Callable[[Lines, st.DataObject], None], data: st.DataObject
) -> None:
    lines = read(journal)
    tamper(lines, data)
    assert lines != read(journal)
    with tempfile.TemporaryDirectory() as made:
        put(lines, journal, Path(made))
        found = verify(Path(made), against=kept)
    assert not found.intact
    assert found.found >= len(found.findings) > 0


def test_another_key_beside_a_journal_is_found(journal: Path, tmp_path: Path) -> None:
    put(read(journal), journal, tmp_path)
    (tmp_path / "signing.pub").write_bytes(SigningKey(Ed25519PrivateKey.generate()).public.pem())
    assert Kind.WRONG_KEY in [finding.kind for finding in verify(tmp_path).findings]


@settings(max_examples=60)
@given(steps=st.lists(st.sampled_from(sorted(set(STEPS))), max_size=12))
def test_nothing_is_found_where_nothing_was_done(steps: list[str]) -> None:
    with tempfile.TemporaryDirectory() as made:
        directory = lived(Path(made) / "audit", *steps)
        found = verify(directory)
        _, newest = newest_checkpoint(directory)
        assert found.findings == ()
        assert verify(directory, against=newest).findings == ()
