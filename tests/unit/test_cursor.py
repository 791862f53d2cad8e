"""How far a shipper has come: whole or as it was, also on a full disk."""

import errno
from pathlib import Path

import pytest

from hookgate.audit.shipping import cursor as cursors
from hookgate.audit.shipping.cursor import Cursor, CursorError, cursor_path, load_cursor, save_cursor


def cursor(seq: int) -> Cursor:
    return Cursor(instance="chain-1", seq=seq, hash="0" * 64, segment="1.jsonl", offset=seq * 10, time="2026-11-22")


def test_is_what_was_saved_last_and_for_its_owner_only(tmp_path: Path) -> None:
    assert load_cursor(tmp_path, "mine") is None
    for seq in (1, 200, 3):
        save_cursor(tmp_path, "mine", cursor(seq))
        assert load_cursor(tmp_path, "mine") == cursor(seq)
    path = cursor_path(tmp_path, "mine")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [one.name for one in path.parent.iterdir()] == ["mine.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"\xff", b'{"seq": 1}', b"\x00" * 200])
def test_that_is_damaged_is_told(tmp_path: Path, content: bytes) -> None:
    path = cursor_path(tmp_path, "mine")
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(CursorError, match=r"mine.json is damaged"):
        load_cursor(tmp_path, "mine")


def test_is_written_over_where_there_is_no_room_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_cursor(tmp_path, "mine", cursor(123456))

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cursors, "write_whole", full)
    save_cursor(tmp_path, "mine", cursor(7))
    assert load_cursor(tmp_path, "mine") == cursor(7)
    with pytest.raises(OSError, match="No space"):
        save_cursor(tmp_path, "new", cursor(7))


def test_a_name_that_a_crash_has_left_half_written_is_no_cursor(tmp_path: Path) -> None:
    save_cursor(tmp_path, "mine", cursor(5))
    cursor_path(tmp_path, "mine").with_name("mine.json.new").write_bytes(b'{"seq":')
    assert load_cursor(tmp_path, "mine") == cursor(5)
    save_cursor(tmp_path, "mine", cursor(6))
    assert load_cursor(tmp_path, "mine") == cursor(6)
