"""The image: what hadolint says, what is copied, and that the command in it runs. No image is built here."""

import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from hookgate import __version__
from tests.docs import tables
from tests.support.fetched import wanted

ROOT = tables.ROOT
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
LAUNCHER = ROOT / "deploy" / "hookgate-command"


def instructions() -> list[tuple[str, str]]:
    """Gives the Dockerfile's instructions, lines that go on joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def test_hadolint_finds_nothing_wrong() -> None:
    done = wanted("hadolint").run("--no-color", "--failure-threshold", "style", DOCKERFILE)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_copied_is_there_and_nothing_else_goes_to_the_builder() -> None:
    copied = [rest.split() for word, rest in instructions() if word == "COPY" and not rest.startswith("--from")]
    sources = {source for *names, _ in copied for source in names}
    assert all((ROOT / source).exists() for source in sources)
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert ignored[0] == "*"
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == sources


def test_the_base_is_one_for_both_stages_with_a_place_for_its_digest_and_none_is_invented() -> None:
    words = instructions()
    assert words[0][1].startswith("BASE=docker.io/library/python:3.")
    assert [rest.split()[0] for word, rest in words if word == "FROM"] == ["${BASE}", "${BASE}"]
    assert not re.search(r"@sha256:[0-9a-f]", DOCKERFILE.read_text())


def test_packages_come_from_the_lock_with_hashes_and_as_wheels_only() -> None:
    runs = " ".join(rest for word, rest in instructions() if word == "RUN")
    installs = re.findall(r"pip [^&]*install [^&]*", runs)
    assert len(installs) == 1
    for option in ("--require-hashes", "--only-binary :all:", "--requirement /build/requirements.txt"):
        assert option in installs[0]
    lock = (ROOT / "deploy" / "requirements.txt").read_text()
    assert lock.count("==") <= lock.count("--hash=sha256:")


def test_it_runs_as_a_user_of_its_own_and_says_whether_it_lives() -> None:
    words = dict(instructions())
    assert words["USER"] == "10001:10001"
    assert "/livez" in words["HEALTHCHECK"]
    assert re.findall(r"^USER .*$", DOCKERFILE.read_text(), re.MULTILINE) == ["USER 10001:10001"]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the launcher, as the image has it; its packages are those of the tests."""
    place = tmp_path_factory.mktemp("image") / "hookgate"
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    told = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    packages = Path(subprocess.run(told, capture_output=True, text=True, check=True).stdout.strip())
    (packages / "here.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT / 'proxy'}\n")
    launcher = place / "bin" / "hookgate"
    launcher.write_text(LAUNCHER.read_text().replace("/opt/hookgate", str(place)))
    launcher.chmod(0o755)
    return launcher


def test_the_command_in_it_runs_and_no_variable_or_directory_brings_in_other_modules(
    image: Path, tmp_path: Path
) -> None:
    assert LAUNCHER.stat().st_mode & 0o111
    (tmp_path / "hookgate.py").write_text("raise SystemExit('not ours')")
    done = subprocess.run(
        [image, "version"], capture_output=True, text=True, check=False, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}
    )
    assert (done.returncode, done.stdout.strip()) == (0, __version__), done.stderr


def test_the_health_check_is_one_that_python_takes() -> None:
    words = dict(instructions())
    program = re.search(r'"-c", "([^"]+)"', words["HEALTHCHECK"])
    assert program is not None
    done = subprocess.run(
        [sys.executable, "-I", "-c", program[1].replace("9464", "1")], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "Connection refused" in done.stderr
