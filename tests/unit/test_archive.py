"""Archives from somebody who may mean harm: what is taken, and that nothing is written elsewhere."""

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookgate.whatif import archive
from hookgate.whatif.archive import ArchiveError, unpack

POLICY = b"apiVersion: api.cerbos.dev/v1\n"


def zipped(files: dict[str, bytes], *, mode: int = 0o644 | stat.S_IFREG, packed: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            entry.compress_type = packed
            made.writestr(entry, content)
    return out.getvalue()


def tarred(files: dict[str, bytes], *, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.type, entry.linkname = len(content), kind, link
            made.addfile(entry, io.BytesIO(content))
    return out.getvalue()


FILES = {"policies/a.yaml": POLICY, "policies/tests/a_test.yaml": b"x", "policies/README.md": b"no", "policies/_schemas/s.json": b"{}"}  # fmt: skip


@pytest.mark.parametrize("made", [zipped(FILES), tarred(FILES), gzip.compress(tarred(FILES))])
def test_policies_are_taken_out_of_their_folder(made: bytes, tmp_path: Path) -> None:
    found = unpack(made, tmp_path)
    assert found == tmp_path / "policies"
    names = sorted(str(file.relative_to(found)) for file in found.rglob("*") if file.is_file())
    assert names == ["_schemas/s.json", "a.yaml", "tests/a_test.yaml"]
    assert (found / "a.yaml").read_bytes() == POLICY


def test_suffixes_count_in_any_letters_as_they_do_for_cerbos(tmp_path: Path) -> None:
    assert (unpack(zipped({"p/a.YAML": POLICY}), tmp_path) / "a.YAML").read_bytes() == POLICY


def test_without_a_folder_of_their_own_they_lie_where_they_were_put(tmp_path: Path) -> None:
    assert unpack(zipped({"a.yaml": POLICY, "shared/b.yaml": POLICY}), tmp_path) == tmp_path


@pytest.mark.parametrize("name", ["../a.yaml", "/a.yaml", "a/../../b.yaml", "C:\\a.yaml", "a\\b.yaml", "x" * 300 + ".yaml", "a\n.yaml", "a\u202e.yaml", "d/" * 20 + "a.yaml"])  # fmt: skip
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_name_that_leads_elsewhere_is_refused(
    pack: Callable[[dict[str, bytes]], bytes], name: str, tmp_path: Path
) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(ArchiveError):
        unpack(pack({"ok.yaml": POLICY, name: POLICY}), inside)
    assert list(tmp_path.rglob("*")) == [inside]


@pytest.mark.parametrize(
    "made",
    [
        zipped({"a.yaml": b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777),
        zipped({"a.yaml": b""}, mode=stat.S_IFIFO | 0o644),
        tarred({"a.yaml": b""}, kind=tarfile.SYMTYPE, link="/etc/passwd"),
        tarred({"a.yaml": b""}, kind=tarfile.LNKTYPE, link="../x"),
        tarred({"a.yaml": b""}, kind=tarfile.CHRTYPE),
        tarred({"a.yaml": b""}, kind=tarfile.FIFOTYPE),
        tarred({"a.yaml": POLICY, "./a.yaml": POLICY}),
        tarred({"a.yaml": POLICY, "a.yaml/b.yaml": POLICY}),
        zipped({"README.md": b"x"}),
        b"",
        b"PK\x03\x04broken",
        b"\x1f\x8bbroken",
        b"\x1f\x8b\x00broken and long enough",
        gzip.compress(tarred(FILES))[:-6] + b"\0" * 6,
        zipped({"a.yaml": POLICY}, packed=zipfile.ZIP_LZMA),
        zipped({"a.yaml": POLICY}, packed=zipfile.ZIP_BZIP2),
        zipped(FILES)[:-30],
        b"x" * (archive.ARCHIVE_BYTES + 1),
        zipped({f"{number}.yaml": b"" for number in range(2001)}),
        tarred({f"{number}.yaml": b"" for number in range(2001)}),
        # Bombs: some kilobytes that are many megabytes.
        zipped({"a.yaml": b"\0" * (archive.MOST_BYTES + 1)}),
        zipped({f"{number}.yaml": b"\0" * (archive.MOST_BYTES // 4) for number in range(5)}),
        gzip.compress(tarred({"a.yaml": b"\0" * (archive.MOST_BYTES + 1)})),
        gzip.compress(b"\0" * (archive.MOST_BYTES * 3)),
    ],
)
def test_what_is_no_plain_small_archive_of_files_is_refused(made: bytes, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError) as refused:
        unpack(made, tmp_path)
    assert "\n" not in str(refused.value)
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


@given(st.binary(max_size=600), st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08"]))
def test_whatever_is_sent_is_refused_in_words(junk: bytes, head: bytes) -> None:
    with pytest.raises(ArchiveError):
        unpack(head + junk, Path("/nonexistent/never-written"))
