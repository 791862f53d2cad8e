"""A real Hookgate that is enrolled and ships to a real collector."""

import asyncio
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import trustme
from typer.testing import CliRunner

from hookgate.audit.store.opening import open_store
from hookgate.audit.store.question import Filter
from hookgate.commands import app
from tests.conftest import payload
from tests.integration.running import run
from tests.integration.stand_in import StandInPdp
from tests.support.collecting import CollectProcess
from tests.support.journals import lines, written
from tests.support.service import ServiceProcess
from tests.support.wait import until

MakeService = Callable[..., ServiceProcess]


def certificates(authority: trustme.CA, place: Path, name: str, common: str = "") -> tuple[Path, Path]:
    """A certificate for a name, and its key."""
    made = authority.issue_cert(name, common_name=common or None)
    certificate, key = place / f"{name}.pem", place / f"{name}.key"
    certificate.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    made.private_key_pem.write_to_path(str(key))
    return certificate, key


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, Path]:
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return made, tmp_path / "ca.pem"


def enrolled(
    service: ServiceProcess, collector: CollectProcess, *options: str | Path
) -> subprocess.CompletedProcess[str]:
    return run("enroll", collector.url, "--directory", service.directory / "audit", *options)


@pytest.mark.parametrize("by", ["code", "certificate"])
def test_a_service_that_was_enrolled_ships_all_of_its_journal_and_goes_on_after_the_collector_was_away(
    make_service: MakeService, stand_in: StandInPdp, authority: tuple[trustme.CA, Path], tmp_path: Path, by: str
) -> None:
    ca, ca_file = authority
    own, own_key = certificates(ca, tmp_path, "127.0.0.1")
    laptop, laptop_key = certificates(ca, tmp_path, "laptop.example.com", "laptop-17")
    tls = {"certificate": str(own), "key": str(own_key), "client_ca": str(ca_file)}
    collector = CollectProcess(tmp_path, tls=tls, certificates="cn").start()
    token = tmp_path / "collector.token"
    shipper = {"type": "collector", "url": collector.url, "ca": str(ca_file)}
    if by == "code":
        shipper |= {"token_file": str(token)}
        options: list[str | Path] = ["--code", collector.code("laptop-17"), "--token-file", token]
    else:
        shipper |= {"certificate": str(laptop), "key": str(laptop_key)}
        options = ["--certificate", laptop, "--key", laptop_key]
    try:
        service = make_service(stand_in.address, {"audit": {"shippers": [shipper]}})
        done = enrolled(service, collector, "--ca", ca_file, *options)
        assert (done.returncode, "enrolled as laptop-17" in done.stdout) == (0, True), done.stderr
        assert not token.exists() or token.stat().st_mode & 0o777 == 0o600
        for _ in range(3):
            service.post(payload("PreToolUse.Bash"))
        until(lambda: decisions(collector) == 3, seconds=30, what="three decisions at the collector")
        collector.kill()
        service.post(payload("PreToolUse.Bash"))
        collector.start()
        until(lambda: decisions(collector) == 4, seconds=60, what="the fourth decision at the collector")
        service.stop()
        directory = service.directory / "audit"
        until(lambda: position(collector) == len(lines(directory)), seconds=30, what="all lines at the collector")
        with closing(open_store(collector.store["path"])) as store:
            member = store.members()[0]
            assert store.findings() == ()
        assert (member.name, member.how) == ("laptop-17", by)
        assert (member.progress.signed_seq, member.progress.mode) == (len(lines(directory)), "enforce")
    finally:
        collector.kill()


def decisions(collector: CollectProcess) -> int:
    with closing(open_store(collector.store["path"])) as store:
        return store.stats(Filter(), closely=False).total


def position(collector: CollectProcess) -> int:
    with closing(open_store(collector.store["path"])) as store:
        return store.members()[0].progress.seq


def test_what_enroll_can_not_do_is_told_in_one_line(tmp_path: Path) -> None:
    for arguments, said in (
        (["enroll", "ftp://x", "--code", "hgc_x"], "http"),
        (["enroll", "http://127.0.0.1:1"], "--code"),
        (["enroll", "http://127.0.0.1:1", "--code", "hgc_x", "--directory", str(tmp_path)], "no journal there"),
    ):
        done = run(*arguments)
        assert done.returncode != 0
        assert said in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("said", "status", "expected"),
    [
        # What a Hookgate's own port answers, to whatever is posted to it.
        (b"{}", 200, "what answers there (200) is no collector"),
        (b'{"name": "alex", "token": ""}', 200, "what answers there (200) is no collector"),
        (b"", 404, "what answers there (404) is no collector"),
        (None, 0, "hung up without an answer; should its URL begin with https://"),
    ],
)
async def test_nobody_is_enrolled_by_what_is_no_collector(
    tmp_path: Path, said: bytes | None, status: int, expected: str
) -> None:
    directory = await asyncio.to_thread(written, tmp_path, 0)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if said is not None:
            writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(said), said))
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        asked = ["enroll", f"http://{address}", "--code", "hgc_x", "--directory", str(directory)]
        done = await asyncio.to_thread(CliRunner().invoke, app, asked)
    assert (done.exit_code, f"hookgate: {address}: {expected}" in done.stderr) == (1, True), done.output
    assert not (directory / "collector.token").exists()


def test_a_code_is_not_spent_where_its_token_could_not_be_written(tmp_path: Path) -> None:
    directory = written(tmp_path, 0)
    (directory / "collector.token").mkdir()
    done = CliRunner().invoke(app, ["enroll", "http://127.0.0.1:1", "--code", "hgc_x", "--directory", str(directory)])
    assert (done.exit_code, "collector.token: Is a directory" in done.stderr) == (1, True), done.output


def test_a_collector_that_would_take_tokens_in_the_clear_does_not_start(tmp_path: Path) -> None:
    file = tmp_path / "collect.yaml"
    file.write_text("collect: {host: 0.0.0.0}\n")
    done = run("collect", "--config", file)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "collect.tls" in done.stderr
    file.write_text("audit: {shippers: []}\n")
    assert "one of type sqlite or postgres" in run("collect", "--config", file).stderr


def test_a_code_for_a_store_that_no_collector_has_made_is_none(tmp_path: Path) -> None:
    file, store = tmp_path / "collect.yaml", tmp_path / "elsewhere" / "store.sqlite"
    file.write_text(f"audit: {{shippers: [{{type: sqlite, path: {store}}}]}}\n")
    done = CliRunner().invoke(app, ["collect", "code", "--name", "alex", "--config", str(file)])
    assert (done.exit_code, done.stdout, "start `hookgate collect`" in done.stderr) == (1, "", True), done.output
    assert not store.parent.exists()
