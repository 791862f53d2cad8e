"""`hookgate policies follow` before it has a PDP to tell; with one, tests/helm has it beside the real one."""

import socket
from pathlib import Path

from tests.integration.running import Running, run

CREDENTIALS = {"CERBOS_ADMIN_USERNAME": "hookgate", "CERBOS_ADMIN_PASSWORD": "never-told"}


def test_without_credentials_it_does_not_begin(tmp_path: Path) -> None:
    nothing = dict.fromkeys(CREDENTIALS)
    done = run("policies", "follow", tmp_path, "--admin", tmp_path / "http.sock", env=nothing)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "hookgate: CERBOS_ADMIN_USERNAME and CERBOS_ADMIN_PASSWORD are not both set in the environment"
    )


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = run("policies", "follow", tmp_path / "none", "--admin", tmp_path / "http.sock", env=CREDENTIALS)
    assert (done.returncode, done.stderr) == (1, f"hookgate: {tmp_path}/none: no such directory of policies\n")


def test_a_pdp_that_is_away_is_complained_of_once_and_asked_again(tmp_path: Path) -> None:
    place = tmp_path / "http.sock"
    following = Running("policies", "follow", tmp_path, "--admin", place, "--interval", "0.1", env=CREDENTIALS)
    try:
        following.until_said("UnixClientConnectorError", seconds=60)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(place))
            listener.listen()
            listener.settimeout(60)
            # It comes again, and is hung up on (twice: the library tries once more): another fault, which is told, too.
            for _ in range(2):
                listener.accept()[0].close()
            following.until_said("policies_reload_failed", times=2, seconds=60)
    finally:
        code = following.end()
    assert code == 0
    told = [line for line in following.lines if "policies_reload_failed" in line]
    # Many times asked in between, but told when it became another fault only.
    assert 2 <= len(told) <= 4
    assert "never-told" not in "\n".join(following.lines)
