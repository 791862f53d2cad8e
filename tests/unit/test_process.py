"""A PDP of our own that cannot be started."""

from pathlib import Path

import pytest

from hookgate.pdp.process import CerbosError, CerbosProcess


def binary(directory: Path, script: str) -> Path:
    file = directory / "cerbos"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


async def test_a_directory_of_policies_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    process = CerbosProcess(binary(tmp_path, "exit 0"), tmp_path / "none")
    with pytest.raises(CerbosError, match=r"none: no such directory of policies$"):
        await process.start()
    await process.stop()


async def test_a_pdp_that_ends_at_once_is_told_by_what_it_said_last_and_leaves_nothing_once_stopped(
    tmp_path: Path,
) -> None:
    process = CerbosProcess(
        binary(tmp_path, '[ "$1" = compile ] && exit 0; echo first; echo last words >&2; exit 1'), tmp_path
    )
    with pytest.raises(CerbosError, match=r"last words"):
        await process.start()
    assert process.pid is None
    await process.stop()
    assert not process.log.parent.exists()


async def test_policies_that_do_not_compile_are_told_by_the_compiler(tmp_path: Path) -> None:
    script = '[ "$1" = compile ] && { echo "policy.yaml:3: no such"; exit 3; }; exit 1'
    process = CerbosProcess(binary(tmp_path, script), tmp_path)
    with pytest.raises(CerbosError) as caught:
        await process.start()
    assert "policy.yaml:3: no such" in str(caught.value)
    assert f"hookgate policies check {tmp_path}" in str(caught.value)
    assert "\n" not in str(caught.value)
    await process.stop()
