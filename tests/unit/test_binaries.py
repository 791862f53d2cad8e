import base64
import hashlib
import io
import json
import os
import platform
import sys
import sysconfig
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from hookgate.binaries import CERBOS_VERSION, CLAUDE_VERSION, CLAUDE_VERSIONS, BinaryError, Source, cache, pins
from hookgate.binaries.find import find_cerbos, find_claude, find_postgres

FAKE_NPM = """\
import json, os, pathlib, shutil, sys
here = pathlib.Path({folder!r})
with (here / "npm.calls").open("a") as calls:
    calls.write(json.dumps([*sys.argv[1:], os.getcwd()]) + "\\n")
archive = here / "package.tgz"
if not archive.exists():
    sys.exit((here / "npm.stderr").read_text())
shutil.copy(archive, sys.argv[sys.argv.index("--pack-destination") + 1])
print(archive.name)
"""

FAKE_ENGINE = """\
import json, pathlib, shutil, sys
here = pathlib.Path({folder!r})
with (here / "engine.calls").open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
match sys.argv[1:]:
    case ["create", "registry.example/cerbos:dev"]:
        print("Unable to find image locally", file=sys.stderr)
        print("c0ffee")
    case ["create", image]:
        sys.exit(f"Trying to pull {{image}}\\nError: no such image")
    case ["cp", "c0ffee:/cerbos", target]:
        shutil.copy(here / "cerbos.in.image", target)
    case ["rm", "--force", "c0ffee"]:
        print("c0ffee")
"""


def program(path: Path, version: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{version}'\necho 'Go version: go1.99.9'\n")
    path.chmod(0o755)
    return path


class Machine:
    """A machine whose PATH and cache folder hold only what a test puts there."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.said: list[str] = []
        self._monkeypatch = monkeypatch
        (folder / "bin").mkdir()
        monkeypatch.setenv("PATH", str(folder / "bin"))
        monkeypatch.setenv("HOOKGATE_CACHE", str(self.cache))
        monkeypatch.delenv("CERBOS_BIN", raising=False)
        monkeypatch.delenv("CERBOS_IMAGE", raising=False)
        monkeypatch.setattr("hookgate.binaries.find._DEBIAN", folder / "no-debian")
        self.of_kind("Linux", "x86_64")

    def of_kind(self, system: str, machine: str, *, libc: str = "gnu") -> None:
        self._monkeypatch.setattr(platform, "system", lambda: system)
        self._monkeypatch.setattr(platform, "machine", lambda: machine)
        self._monkeypatch.setattr(sysconfig, "get_config_var", lambda _: f"{machine}-pc-{system.lower()}-{libc}")

    def say(self, line: str) -> None:
        self.said.append(line)

    def script(self, name: str, source: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(f"#!{sys.executable}\n" + source.format(folder=str(self.folder)))
        path.chmod(0o755)

    def npm_delivers(self, member: str, version: str) -> str:
        """Let npm hand out a package that holds one program, and give the package's digest in base64."""
        content = f"#!/bin/sh\necho '{version}'\n".encode()
        with tarfile.open(self.folder / "package.tgz", "w:gz") as tar:
            for name, data in {"package/package.json": b"{}", member: content}.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(data), 0o644
                tar.addfile(entry, io.BytesIO(data))
        self.script("npm", FAKE_NPM)
        return base64.b64encode(hashlib.sha512((self.folder / "package.tgz").read_bytes()).digest()).decode()

    def npm_fails(self, stderr: str) -> None:
        (self.folder / "npm.stderr").write_text(stderr)
        self.script("npm", FAKE_NPM)

    def calls(self, name: str) -> list[list[str]]:
        log = self.folder / f"{name}.calls"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def pinned_cerbos(self, version: str = CERBOS_VERSION) -> None:
        """Let npm hand out a Cerbos whose digest is the pinned one."""
        digest = self.npm_delivers("package/cerbos-linux-x64", version)
        self._monkeypatch.setattr(pins, "_CERBOS_SHA512", {CERBOS_VERSION: {"linux-x64": digest}})

    def pinned_claude(self) -> None:
        digest = self.npm_delivers("package/claude", f"{CLAUDE_VERSION} (Claude Code)")
        self._monkeypatch.setattr(pins, "_CLAUDE_SHA512", {CLAUDE_VERSION: {"linux-x64": digest}})

    def pinned_postgres(self) -> None:
        """A package as npm packs it: without links, and with files outside of what is kept."""
        links = [{"source": "native/lib/libpq.so.5.17", "target": "native/lib/libpq.so.5"}]
        links.append({"source": "native/lib/libpq.so.5.17", "target": "native/../../escaped"})
        members = {
            "package/native/bin/postgres": b"#!/bin/sh\necho 'postgres (PostgreSQL) 17.10'\n",
            "package/native/bin/initdb": b"#!/bin/sh\n",
            "package/native/lib/libpq.so.5.17": b"library",
            "package/native/share/postgres.bki": b"data",
            "package/native/pg-symlinks.json": json.dumps(links).encode(),
            "package/native/../../outside": b"escaped",
            "package/package.json": b"{}",
        }
        with tarfile.open(self.folder / "package.tgz", "w:gz") as tar:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(content), 0o755 if "/bin/" in name else 0o644
                tar.addfile(info, io.BytesIO(content))
        sha512 = base64.b64encode(hashlib.sha512((self.folder / "package.tgz").read_bytes()).digest()).decode()
        self.script("npm", FAKE_NPM)
        self._monkeypatch.setitem(pins._POSTGRES_SHA512, "linux-x64", sha512)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_cerbos_is_fetched_once_and_then_found_in_the_cache_without_npm(machine: Machine) -> None:
    machine.pinned_cerbos()

    first = find_cerbos(say=machine.say)
    (machine.folder / "bin" / "npm").unlink()
    second = find_cerbos(fetch=False, say=machine.say)

    assert first.path == second.path == machine.cache / "cerbos" / CERBOS_VERSION / "cerbos"
    assert (first.source, second.source) == (Source.NPM, Source.CACHE)
    assert first.version == second.version == CERBOS_VERSION
    assert first.warning == second.warning == ""
    assert os.access(first.path, os.X_OK)
    assert len(machine.said) == 1
    assert machine.said[0].startswith(f"fetching cerbos {CERBOS_VERSION}: 32 MB")


def test_npm_is_asked_for_the_exact_version_in_a_folder_of_its_own_and_no_leftovers_stay(machine: Machine) -> None:
    machine.pinned_cerbos()

    found = find_cerbos(say=machine.say)

    [[*arguments, folder]] = machine.calls("npm")
    assert arguments[:2] == ["pack", f"@cerbos/cerbos-linux-x64@{CERBOS_VERSION}"]
    assert arguments[arguments.index("--pack-destination") + 1] == folder
    assert sorted(path.name for path in found.path.parent.iterdir()) == ["cerbos", "cerbos.json"]


def test_a_package_of_another_digest_is_refused_with_both_digests_and_nothing_is_installed(machine: Machine) -> None:
    got = machine.npm_delivers("package/cerbos-linux-x64", CERBOS_VERSION)

    with pytest.raises(BinaryError) as refused:
        find_cerbos(say=machine.say)

    expected = pins.cerbos_package().sha512
    assert f"expected sha512-{expected}, got sha512-{got}" in str(refused.value)
    assert "nothing was installed" in str(refused.value)
    assert [path for path in machine.cache.rglob("*") if path.is_file()] == []


def test_a_fetch_that_fails_leaves_the_program_that_was_there(machine: Machine) -> None:
    there = program(machine.cache / "cerbos" / CERBOS_VERSION / "cerbos", CERBOS_VERSION)
    before = there.read_bytes()
    machine.npm_delivers("package/cerbos-linux-x64", CERBOS_VERSION)

    with pytest.raises(BinaryError, match="expected sha512-"):
        find_cerbos(say=machine.say)

    assert there.read_bytes() == before


def test_a_package_without_the_program_is_refused(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = machine.npm_delivers("package/something-else", CERBOS_VERSION)
    monkeypatch.setattr(pins, "_CERBOS_SHA512", {CERBOS_VERSION: {"linux-x64": digest}})

    with pytest.raises(BinaryError, match="holds no package/cerbos-linux-x64"):
        find_cerbos(say=machine.say)


def test_a_fetched_program_that_does_not_run_is_not_kept(machine: Machine) -> None:
    machine.pinned_cerbos(version="no number at all")

    with pytest.raises(BinaryError, match="printed no version"):
        find_cerbos(say=machine.say)

    assert not (machine.cache / "cerbos" / CERBOS_VERSION / "cerbos").exists()


def test_a_kept_program_that_was_changed_is_fetched_again(machine: Machine) -> None:
    machine.pinned_cerbos()
    found = find_cerbos(say=machine.say)
    genuine = found.path.read_bytes()
    found.path.write_bytes(genuine.replace(b"echo", b"true"))

    again = find_cerbos(say=machine.say)

    assert again.source is Source.NPM
    assert again.path.read_bytes() == genuine


def test_a_kept_program_with_a_new_time_of_change_only_is_still_good(machine: Machine) -> None:
    machine.pinned_cerbos()
    found = find_cerbos(say=machine.say)
    os.utime(found.path, ns=(1, 1))

    assert find_cerbos(fetch=False, say=machine.say).source is Source.CACHE


def test_an_unchanged_program_is_not_hashed_at_each_start(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.pinned_cerbos()
    find_cerbos(say=machine.say)
    hashed: list[Path] = []
    monkeypatch.setattr(cache, "sha256_of", hashed.append)

    assert find_cerbos(fetch=False, say=machine.say).source is Source.CACHE
    assert hashed == []


def test_a_program_of_an_older_digest_is_fetched_again(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.pinned_cerbos()
    find_cerbos(say=machine.say)
    monkeypatch.setattr(pins, "_CERBOS_SHA512", {CERBOS_VERSION: {"linux-x64": "another"}})

    with pytest.raises(BinaryError, match="expected sha512-another"):
        find_cerbos(say=machine.say)


@pytest.mark.parametrize("note", ["", "[]", '{"origin": 1}', "\0\udc80"], ids=["empty", "list", "ill-typed", "binary"])
def test_a_program_with_a_broken_note_is_fetched_again(machine: Machine, note: str) -> None:
    machine.pinned_cerbos()
    found = find_cerbos(say=machine.say)
    found.path.with_name("cerbos.json").write_bytes(note.encode("utf-8", "surrogateescape"))

    assert find_cerbos(say=machine.say).source is Source.NPM


def test_cerbos_bin_comes_before_everything_else(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.pinned_cerbos()
    find_cerbos(say=machine.say)
    mine = program(machine.folder / "mine" / "cerbos", CERBOS_VERSION)
    monkeypatch.setenv("CERBOS_BIN", str(mine))

    found = find_cerbos(say=machine.say)

    assert (found.path, found.source, found.warning) == (mine, Source.ENVIRONMENT, "")


def test_cerbos_bin_of_another_version_is_used_with_a_warning(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = program(machine.folder / "mine" / "cerbos", "0.51.0")
    monkeypatch.setenv("CERBOS_BIN", str(mine))

    found = find_cerbos(say=machine.say)

    assert found.version == "0.51.0"
    assert found.warning == f"CERBOS_BIN={mine} is cerbos 0.51.0; this Hookgate is tested with {CERBOS_VERSION}"


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        (None, 0, "does not run here: No such file or directory"),
        ("#!/bin/sh\n", 0o644, "does not run here: Permission denied"),
        ("\x7fELF?", 0o755, "does not run here: Exec format error"),
        ("#!/bin/sh\nexit 3\n", 0o755, "ended with 3 and printed no version"),
    ],
    ids=["absent", "not executable", "of another machine", "failing"],
)
def test_a_cerbos_bin_that_does_not_run_is_an_error_that_names_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, content: str | None, mode: int, reason: str
) -> None:
    machine.pinned_cerbos()
    mine = machine.folder / "mine"
    if content is not None:
        mine.write_text(content)
        mine.chmod(mode)
    monkeypatch.setenv("CERBOS_BIN", str(mine))

    with pytest.raises(BinaryError) as refused:
        find_cerbos(say=machine.say)

    assert str(refused.value).startswith(f"CERBOS_BIN={mine}: ")
    assert reason in str(refused.value)
    assert machine.calls("npm") == []


def test_a_cerbos_on_path_of_the_pinned_version_is_taken_before_npm(machine: Machine) -> None:
    machine.pinned_cerbos()
    there = program(machine.folder / "bin" / "cerbos", CERBOS_VERSION)

    found = find_cerbos(say=machine.say)

    assert (found.path, found.source) == (there, Source.PATH)
    assert machine.calls("npm") == []


def test_a_cerbos_on_path_of_another_version_is_passed_over_and_said(machine: Machine) -> None:
    machine.pinned_cerbos()
    there = program(machine.folder / "bin" / "cerbos", "0.51.0")

    assert find_cerbos(say=machine.say).source is Source.NPM
    assert machine.said[0] == (
        f"cerbos on PATH is 0.51.0, not {CERBOS_VERSION}: not used (CERBOS_BIN={there} makes it so)"
    )


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_a_container_image_is_created_copied_from_and_removed_once(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    program(machine.folder / "cerbos.in.image", CERBOS_VERSION)
    machine.script(engine, FAKE_ENGINE)
    monkeypatch.setenv("CERBOS_IMAGE", "registry.example/cerbos:dev")

    first = find_cerbos(say=machine.say)
    second = find_cerbos(fetch=False, say=machine.say)

    create, copy, remove = machine.calls("engine")
    assert create == ["create", "registry.example/cerbos:dev"]
    assert copy[:2] == ["cp", "c0ffee:/cerbos"]
    assert remove == ["rm", "--force", "c0ffee"]
    assert first == second
    assert first.source is Source.IMAGE
    assert first.path.read_bytes() == (machine.folder / "cerbos.in.image").read_bytes()
    assert machine.said == ["taking cerbos out of the container image registry.example/cerbos:dev"]


def test_an_image_of_another_version_is_used_with_a_warning_also_from_the_cache(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(machine.folder / "cerbos.in.image", "0.56.1")
    machine.script("docker", FAKE_ENGINE)
    monkeypatch.setenv("CERBOS_IMAGE", "registry.example/cerbos:dev")

    for found in (find_cerbos(say=machine.say), find_cerbos(say=machine.say)):
        assert found.version == "0.56.1"
        assert found.warning.startswith("CERBOS_IMAGE=registry.example/cerbos:dev is cerbos 0.56.1; ")


def test_a_container_is_removed_although_the_image_holds_no_cerbos(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.script("docker", FAKE_ENGINE)
    monkeypatch.setenv("CERBOS_IMAGE", "registry.example/cerbos:dev")

    with pytest.raises(BinaryError, match=r"^CERBOS_IMAGE=\S+/cerbos:dev: `docker cp` failed: "):
        find_cerbos(say=machine.say)

    assert machine.calls("engine")[-1] == ["rm", "--force", "c0ffee"]


def test_an_image_that_cannot_be_had_is_one_line_with_the_engines_reason(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.script("docker", FAKE_ENGINE)
    monkeypatch.setenv("CERBOS_IMAGE", "registry.example/none")

    with pytest.raises(BinaryError) as refused:
        find_cerbos(say=machine.say)

    assert str(refused.value) == "CERBOS_IMAGE=registry.example/none: `docker create` failed: Error: no such image"


def test_an_image_without_a_container_engine_is_a_clear_error(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CERBOS_IMAGE", "registry.example/cerbos:dev")

    with pytest.raises(BinaryError, match="neither docker nor podman is on PATH"):
        find_cerbos(say=machine.say)


def test_an_image_is_of_no_use_on_macos(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.of_kind("Darwin", "arm64")
    machine.script("docker", FAKE_ENGINE)
    monkeypatch.setenv("CERBOS_IMAGE", "registry.example/cerbos:dev")

    with pytest.raises(BinaryError, match="holds a Linux program, which does not run on Darwin"):
        find_cerbos(say=machine.say)

    assert machine.calls("engine") == []


def test_without_npm_the_error_says_what_to_install(machine: Machine) -> None:
    with pytest.raises(BinaryError, match=r"^npm is not on PATH, .*: install Node.js with npm$"):
        find_cerbos(say=machine.say)


@pytest.mark.parametrize(
    ("stderr", "line"),
    [
        (
            "npm error code ENOTFOUND\nnpm error syscall getaddrinfo\nnpm error network request failed",
            r"npm could not reach its registry for @cerbos/\S+ \(ENOTFOUND\): check the network",
        ),
        (
            "npm warn Unknown user config\nnpm ERR! code E404\nnpm ERR! 404 Not Found",
            r"the registry that npm is set up for does not have @cerbos/",
        ),
        ("npm error code EINTEGRITY\nnpm error sha512-a wanted", r"arrived damaged \(npm: EINTEGRITY\)"),
        ("npm warn old lockfile\nnpm error code EWHATEVER\nnpm error more", r"failed: npm error code EWHATEVER$"),
        ("", r"failed: it gave no reason$"),
    ],
    ids=["no network", "not there", "damaged", "anything else", "silent"],
)
def test_each_way_in_which_npm_fails_is_one_line_that_says_what_to_do(machine: Machine, stderr: str, line: str) -> None:
    machine.npm_fails(stderr)

    with pytest.raises(BinaryError, match=line) as refused:
        find_cerbos(say=machine.say)

    assert "\n" not in str(refused.value)


def test_a_cache_that_cannot_be_written_is_one_line_that_names_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.pinned_cerbos()
    (machine.folder / "file").write_text("in the way")
    monkeypatch.setenv("HOOKGATE_CACHE", str(machine.folder / "file"))

    with pytest.raises(BinaryError, match=r"cannot keep @cerbos/.*: Not a directory: set HOOKGATE_CACHE"):
        find_cerbos(say=machine.say)


def test_without_permission_to_fetch_the_error_says_how_to(machine: Machine) -> None:
    machine.pinned_cerbos()

    with pytest.raises(BinaryError, match="run `hookgate fetch cerbos`"):
        find_cerbos(fetch=False, say=machine.say)

    assert machine.calls("npm") == []


@pytest.mark.parametrize(
    ("system", "machine_name", "ways"),
    [
        ("Linux", "riscv64", "or set CERBOS_BIN to its path, or CERBOS_IMAGE to a container image that has it,"),
        ("Windows", "AMD64", "or set CERBOS_BIN to its path, and start again"),
    ],
)
def test_where_no_package_is_known_the_error_names_the_ways_that_are_left(
    machine: Machine, system: str, machine_name: str, ways: str
) -> None:
    machine.of_kind(system, machine_name)
    machine.script("npm", FAKE_NPM)

    with pytest.raises(BinaryError) as refused:
        find_cerbos(say=machine.say)

    assert ways in str(refused.value)
    assert "\n" not in str(refused.value)
    assert machine.calls("npm") == []


def test_the_client_is_announced_with_its_size_licence_version_and_digest_before_it_is_fetched(
    machine: Machine,
) -> None:
    machine.pinned_claude()
    npm_called_before: list[bool] = []

    def say(line: str) -> None:
        npm_called_before.append(bool(machine.calls("npm")))
        machine.say(line)

    first = find_claude(say=say)
    second = find_claude(say=say)

    assert npm_called_before == [False]
    [line] = machine.said
    for part in ("380 MB", "proprietary", CLAUDE_VERSION, pins.claude_package(CLAUDE_VERSION).sha512):
        assert part in line
    assert first.path == second.path == machine.cache / "claude" / CLAUDE_VERSION / "claude"
    assert (first.source, second.source) == (Source.NPM, Source.CACHE)


def test_a_client_that_is_not_there_and_may_not_be_fetched_is_an_error_that_says_how(machine: Machine) -> None:
    with pytest.raises(BinaryError, match=f"run `hookgate fetch claude --version {CLAUDE_VERSION}`"):
        find_claude(fetch=False, say=machine.say)


def test_a_client_version_without_a_digest_is_refused_with_those_that_have_one(machine: Machine) -> None:
    with pytest.raises(BinaryError) as refused:
        find_claude("9.9.9", say=machine.say)

    assert all(version in str(refused.value) for version in ("9.9.9", *CLAUDE_VERSIONS))


def test_the_client_is_not_fetched_for_a_libc_that_it_does_not_run_on(machine: Machine) -> None:
    machine.of_kind("Linux", "x86_64", libc="musl")

    with pytest.raises(BinaryError, match=r"for linux-x64-musl .*make test CLIENT=no"):
        find_claude(say=machine.say)


@pytest.mark.parametrize("version", CLAUDE_VERSIONS)
@pytest.mark.parametrize(
    ("system", "machine_name", "name"),
    [
        ("Linux", "x86_64", "linux-x64"),
        ("Linux", "aarch64", "linux-arm64"),
        ("Darwin", "x86_64", "darwin-x64"),
        ("Darwin", "arm64", "darwin-arm64"),
    ],
)
def test_every_pinned_client_has_a_whole_sha512_for_every_platform(
    machine: Machine,
    version: str,
    system: str,
    machine_name: str,
    name: str,
) -> None:
    machine.of_kind(system, machine_name)

    package = pins.claude_package(version)

    assert package.spec == f"@anthropic-ai/claude-code-{name}@{version}"
    assert len(base64.b64decode(package.sha512, validate=True)) == hashlib.sha512().digest_size


def test_a_server_is_fetched_with_all_that_it_needs_beside_it_and_its_links(machine: Machine) -> None:
    machine.pinned_postgres()

    first = find_postgres(say=machine.say)
    second = find_postgres(fetch=False, say=machine.say)

    home = machine.cache / "postgres" / pins.postgres_package().version
    assert first.path == second.path == home / "bin" / "postgres"
    assert (first.source, second.source) == (Source.NPM, Source.CACHE)
    assert sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()) == [
        "bin/initdb",
        "bin/postgres",
        "bin/postgres.json",
        "lib/libpq.so.5",
        "lib/libpq.so.5.17",
        "share/postgres.bki",
    ]
    assert (home / "lib" / "libpq.so.5").readlink() == Path("libpq.so.5.17")
    assert os.access(home / "bin" / "initdb", os.X_OK)
    assert not os.access(home / "share" / "postgres.bki", os.X_OK)
    assert list(home.parent.iterdir()) == [home]


def test_a_server_that_is_installed_is_taken_before_one_is_fetched(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.pinned_postgres()
    for version in ("9.6", "13", "16", "15"):
        folder = machine.folder / "debian" / version / "bin"
        program(folder / "postgres", f"postgres (PostgreSQL) {version}.3 (Debian {version}.3-0+deb12u1)")
        program(folder / "initdb", version)
    monkeypatch.setattr("hookgate.binaries.find._DEBIAN", machine.folder / "debian")

    found = find_postgres(say=machine.say)

    assert (found.path, found.version) == (machine.folder / "debian" / "16" / "bin" / "postgres", "16.3")
    (machine.folder / "debian" / "16" / "bin" / "initdb").unlink()
    assert find_postgres(say=machine.say).version == "15.3"
    assert machine.calls("npm") == []


def test_a_server_that_is_too_old_is_passed_over_and_said(machine: Machine) -> None:
    machine.pinned_postgres()
    program(machine.folder / "bin" / "postgres", "postgres (PostgreSQL) 9.6.24")
    program(machine.folder / "bin" / "initdb", "9.6.24")

    assert find_postgres(say=machine.say).source is Source.NPM

    assert "9.6.24, older than 14: not used" in machine.said[0]


def test_a_server_that_is_nowhere_and_may_not_be_fetched_is_an_error_that_says_how(machine: Machine) -> None:
    with pytest.raises(BinaryError, match=r"run `hookgate fetch postgres`, or install it"):
        find_postgres(fetch=False, say=machine.say)


def test_where_no_server_is_known_for_a_machine_the_error_says_to_install_one(machine: Machine) -> None:
    machine.of_kind("Linux", "riscv64")

    with pytest.raises(BinaryError, match=r"no package of known digest for linux-riscv64: put `postgres` and `initdb`"):
        find_postgres(say=machine.say)


@pytest.fixture
def cache_folder_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    monkeypatch.delenv("HOOKGATE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))

    def cache_folder_of(module: str) -> Path:
        monkeypatch.setattr(cache, "__file__", str(tmp_path / module))
        return cache.cache_folder()

    return cache_folder_of


def test_a_checkout_keeps_what_it_fetches_in_itself(tmp_path: Path, cache_folder_of: Callable[[str], Path]) -> None:
    (tmp_path / "pyproject.toml").touch()

    assert cache_folder_of("proxy/hookgate/binaries/cache.py") == tmp_path.resolve() / ".cache"


def test_an_installed_package_keeps_what_it_fetches_in_the_users_caches(
    tmp_path: Path, cache_folder_of: Callable[[str], Path]
) -> None:
    assert cache_folder_of("site-packages/hookgate/binaries/cache.py") == tmp_path / "xdg" / "hookgate"
