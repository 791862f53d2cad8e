"""`hookgate hook`: what it sends, what it takes for an answer, and what of its surroundings it heeds."""

import io
import json
import os
import pwd
import resource
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme

from hookgate.client.bridge.config import BridgeError, exposure, load
from hookgate.client.bridge.run import Hook
from tests.conftest import payload
from tests.support.installed import installed
from tests.support.wait import until

DENY = {
    "hookSpecificOutput": {
        "hookEventName": "PreToolUse",
        "permissionDecision": "deny",
        "permissionDecisionReason": "no",
    }
}
TOKEN = "hgt_0123456789abcdef"
ME = pwd.getpwuid(os.getuid()).pw_name


def as_http(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode()
        + body
    )


@dataclass
class Service:
    """Answers each request with the same bytes, and keeps what was sent. `drips` seconds lie between the bytes."""

    tls: ssl.SSLContext | None = None
    answer: bytes = as_http(json.dumps(DENY).encode())
    drips: float = 0.0
    seen: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/ext/claude"
        self._closed = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        self._listener.close()

    def _serve(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._listener.accept()
                connection.settimeout(10)
                with self.tls.wrap_socket(connection, server_side=True) if self.tls else connection as stream:
                    self._answer(stream)
            except OSError:
                continue

    def _answer(self, stream: socket.socket) -> None:
        with stream.makefile("rb") as reader:
            reader.readline()
            headers = {}
            while (line := reader.readline().decode("latin-1").strip()) != "":
                name, _, value = line.partition(": ")
                headers[name.lower()] = value
            body = reader.read(int(headers.get("content-length", 0)))
        self.seen.append((headers, body))
        if not self.drips:
            stream.sendall(self.answer)
            return
        for byte in self.answer:
            stream.sendall(bytes([byte]))
            if self._closed.wait(self.drips):
                return


@pytest.fixture
def service() -> Iterator[Service]:
    running = Service()
    yield running
    running.close()


@pytest.fixture
def configured(tmp_path: Path, service: Service) -> Callable[..., Path]:
    """Writes a configuration with these changes."""

    def write(**changes: Any) -> Path:
        path = tmp_path / "hook.json"
        tree = {"url": service.url, "headers": {"x-claude-user": "${USER}"}, "timeout_seconds": 5} | changes
        path.write_text(json.dumps({key: value for key, value in tree.items() if value is not None}))
        path.chmod(0o644)
        return path

    return write


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Asks here, in an environment that is not to count."""
    monkeypatch.setenv("USER", "somebody-else")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    def run(config: Path, sent: bytes | dict[str, Any]) -> Ended:
        raw = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
        code = Hook(["--config", str(config)], io.BytesIO(raw), os.geteuid()).ask()
        return Ended(code, *capfd.readouterr())

    return run


Configured = Callable[..., Path]
Bridge = Callable[..., Ended]


def test_the_payload_is_sent_as_it_came_and_the_answer_is_printed(
    service: Service, configured: Configured, bridge: Bridge
) -> None:
    sent = json.dumps(payload("PreToolUse.Bash"), indent=3).encode()
    ended = bridge(configured(headers={"x-claude-user": "${USER}", "X-Claude-Label-Team": "Ärzte"}), sent)
    assert (ended.code, json.loads(ended.out), ended.err) == (0, DENY, "")
    ((headers, body),) = service.seen
    assert body == sent
    assert headers["content-type"] == "application/json"
    assert "authorization" not in headers
    assert headers["x-claude-label-team"] == "Ärzte"
    # The account that it runs as, whatever the environment says.
    assert headers["x-claude-user"] == ME


def test_the_token_is_read_afresh_for_each_hook(
    service: Service, configured: Configured, bridge: Bridge, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    config = configured(token_file=str(file))
    for token in (TOKEN, TOKEN[::-1]):
        file.touch(0o600)
        file.write_text(f"{token}\n")
        assert bridge(config, payload("PreToolUse.Bash")).code == 0
    assert [headers["authorization"] for headers, _ in service.seen] == [f"Bearer {TOKEN}", f"Bearer {TOKEN[::-1]}"]


@pytest.mark.parametrize(
    ("content", "mode", "fault"),
    [
        (TOKEN, 0o644, "others can read the token"),
        (TOKEN, 0o620, "others can read the token"),
        ("", 0o600, "holds no token"),
        (f"{TOKEN}\n{TOKEN}", 0o600, "holds no token"),
        (f"{TOKEN} {TOKEN}", 0o600, "holds no token"),
        ("é", 0o600, "holds no token"),
        (None, 0o600, "No such file"),
    ],
)
def test_without_a_token_that_is_nobody_elses_nothing_is_sent(
    service: Service, configured: Configured, bridge: Bridge, tmp_path: Path, content: str | None, mode: int, fault: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    ended = bridge(configured(token_file=str(file)), payload("PreToolUse.Bash"))
    assert ended.code == 2
    assert fault in ended.err
    assert TOKEN not in ended.err
    assert service.seen == []


def body(value: object) -> bytes:
    return as_http(json.dumps(value).encode())


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (as_http(json.dumps(DENY).encode(), "500 Internal Server Error"), "the answer has status 500"),
        (as_http(json.dumps(DENY).encode(), "403 Forbidden"), "the answer has status 403"),
        (as_http(b"", "204 No Content"), "the answer has status 204"),
        (as_http(b"{}", "302 Found", "Location: http://127.0.0.1:1/\r\n"), "the answer has status 302"),
        (as_http(b""), "the answer is no JSON"),
        (as_http(b"ok"), "the answer is no JSON"),
        (as_http(b"[" * 100_000), "the answer is no JSON"),
        (as_http(b'"' + b"x" * 2**20 + b'"'), "the answer is too long"),
        (body([DENY]), "the answer is no JSON object"),
        (body(None), "the answer is no JSON object"),
        (body({"async": True}), "the answer is for later"),
        (body({"hookSpecificOutput": {"permissionDecision": "deny"}}), "the answer is for another event"),
        (body({"hookSpecificOutput": {"hookEventName": "Stop"}}), "the answer is for another event"),
        (body({"hookSpecificOutput": []}), "the answer is for another event"),
        (b"", "no answer: RemoteDisconnected"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", "the answer is cut off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", "no answer: IncompleteRead"),
        (b"SSH-2.0-x\r\n", "no answer: BadStatusLine"),
    ],
)
def test_whatever_is_no_answer_blocks(
    service: Service, configured: Configured, bridge: Bridge, answer: bytes, why: str
) -> None:
    service.answer = answer
    ended = bridge(configured(), payload("PreToolUse.Bash"))
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"[hookgate hook] {why}. Blocked, because Hookgate could not be asked.\n"


def test_nobody_there_blocks_too(configured: Configured, bridge: Bridge) -> None:
    ended = bridge(configured(url="http://127.0.0.1:1/ext/claude"), payload("PreToolUse.Bash"))
    assert (ended.code, ended.err) == (
        2,
        "[hookgate hook] no answer: Connection refused. Blocked, because Hookgate could not be asked.\n",
    )


@pytest.mark.parametrize("event", ["Stop", "SubagentStop", "TaskCompleted", "TeammateIdle"])
def test_where_blocking_would_mean_working_on_for_ever_it_is_only_told(
    configured: Configured, bridge: Bridge, event: str
) -> None:
    ended = bridge(configured(url="http://127.0.0.1:1/"), {"hook_event_name": event})
    assert (ended.code, ended.out) == (1, "")
    assert "not on record" in ended.err


@pytest.mark.parametrize("sent", [b"", b"{", b"[]", b"\xff", b'{"hook_event_name": 5}', b"[" * 100_000])
def test_what_is_no_payload_is_for_hookgate_to_judge(
    service: Service, configured: Configured, bridge: Bridge, sent: bytes
) -> None:
    service.answer = body({"decision": "block", "reason": "no"})
    assert bridge(configured(), sent).code == 0
    assert service.seen[0][1] == sent
    service.answer = as_http(b"", "500 x")
    assert bridge(configured(), sent).code == 2


def test_a_payload_beyond_what_hookgate_takes_blocks(service: Service, configured: Configured, bridge: Bridge) -> None:
    ended = bridge(configured(), b" " * (32 * 2**20 + 1))
    assert (ended.code, service.seen) == (2, [])
    assert "the payload is too large" in ended.err


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"url": None}, "url: expected an address"),
        ({"url": "ftp://a"}, "url: expected an address"),
        ({"url": 5}, "url: expected a text"),
        ({"url": "http:///x"}, "url has no host"),
        ({"headers": []}, "headers: expected an object of texts"),
        ({"headers": {"a": 1}}, "headers: expected an object of texts"),
        ({"timeout_seconds": 0}, "timeout_seconds: expected a number"),
        ({"timeout_seconds": True}, "timeout_seconds: expected a number"),
        ({"ca_file": "ca.pem"}, "ca_file: expected an absolute path"),
        ({"token_file": "token"}, "token_file: expected an absolute path"),
        ({"tokenfile": "/a"}, "tokenfile: unknown key"),
    ],
)
def test_a_fault_of_the_configuration_blocks_and_names_its_place(
    configured: Configured, bridge: Bridge, changes: dict[str, Any], fault: str
) -> None:
    ended = bridge(configured(**changes), payload("PreToolUse.Bash"))
    assert ended.code == 2
    assert fault in ended.err


@pytest.mark.parametrize(
    "arguments", [["--config"], ["--other", "/x"], ["--config", "hook.json"], ["--config=hook.json"], ["x"]]
)
def test_wrong_arguments_block(arguments: list[str]) -> None:
    assert Hook(arguments, io.BytesIO(b"{}"), os.geteuid()).ask() == 2


def test_a_configuration_that_others_could_write_is_not_used(configured: Configured, tmp_path: Path) -> None:
    """THREATS: from a configuration that only root writes."""
    path, me = configured(), os.geteuid()
    assert exposure(str(path), me) == ""
    assert load(str(path), me).timeout_seconds == 5
    for mode in (0o664, 0o646):
        path.chmod(mode)
        assert exposure(str(path), me) == str(path)
        with pytest.raises(BridgeError, match="others than root can write it"):
            load(str(path), me)
    path.chmod(0o644)
    tmp_path.chmod(0o777)
    assert exposure(str(path), me) == str(tmp_path)
    # Its entries are kept by the sticky bit.
    tmp_path.chmod(0o1777)
    assert exposure(str(path), me) == ""
    tmp_path.chmod(0o700)
    # A link counts as what it leads to.
    loose = tmp_path / "loose"
    loose.mkdir(0o700)
    target = loose / "hook.json"
    target.write_text("{}")
    target.chmod(0o666)
    path.unlink()
    path.symlink_to(target)
    assert exposure(str(path), me) == str(target)
    # Another user's, who is not root.
    assert exposure(str(tmp_path), me + 1) == ("" if me == 0 else str(tmp_path))
    if me == 0:
        os.chown(loose, 65534, 65534)
        assert exposure(str(loose), me) == str(loose)
    missing = tmp_path / "missing.json"
    with pytest.raises(BridgeError, match="No such file"):
        load(str(missing), me)
    with pytest.raises(BridgeError, match="absolute path"):
        load("hook.json", me)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that finds Hookgate by itself."""
    return installed(tmp_path_factory.mktemp("installed"))


def run(command: list[str], config: Path, environ: dict[str, str], cwd: Path) -> Ended:
    """Runs it as the client does. Only root's configuration counts: for anybody else it says so, and blocks."""
    sent = json.dumps(payload("PreToolUse.Bash")).encode()
    done = subprocess.run(
        [*command, "hook", "--config", str(config)],
        input=sent,
        env=environ,
        cwd=cwd,
        capture_output=True,
        timeout=60,
        check=False,
    )
    if os.geteuid() != 0:
        assert (done.returncode, b"others than root" in done.stderr) == (2, True)
        pytest.skip("only root can write what the bridge takes for its configuration")
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def hostile(directory: Path, *, with_python: bool) -> dict[str, str]:
    """Gives an environment that an agent would choose: whatever it leads to leaves a file in the directory."""
    traps = directory / "traps"
    traps.mkdir()
    code = f"import pathlib; pathlib.Path({str(directory)!r}, 'ran-' + __name__).touch()\n"
    for name in ("json", "ssl", "socket", "http", "sitecustomize", "usercustomize", "hookgate", "startup"):
        (traps / f"{name}.py").write_text(code)
    (traps / "openssl.cnf").write_text(
        f"openssl_conf = a\n[a]\nengines = b\n[b]\nc = d\n[d]\ndynamic_path = {traps}/none.so\ninit = 1\n"
    )
    (traps / "aliases").write_text("localhost elsewhere.example\n")
    environ = {
        "PATH": str(traps),
        "HOME": str(traps),
        "USER": "somebody-else",
        **dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:1"),
        "SSL_CERT_FILE": str(directory / "evil.pem"),
        "SSL_CERT_DIR": str(traps),
        "SSLKEYLOGFILE": str(directory / "ran-keylog"),
        "OPENSSL_CONF": str(traps / "openssl.cnf"),
        "HOSTALIASES": str(traps / "aliases"),
        "RES_OPTIONS": "timeout:30",
    }
    if with_python:
        environ |= {
            "PYTHONPATH": str(traps),
            "PYTHONHOME": str(traps),
            "PYTHONSTARTUP": str(traps / "startup.py"),
            "PYTHONUSERBASE": str(traps),
            "PYTHONINSPECT": "1",
            "PYTHONPLATLIBDIR": str(traps),
            "PYTHONBREAKPOINT": "startup",
        }
    return environ


def test_nothing_that_the_environment_says_has_a_part_in_it(
    service: Service, configured: Configured, python: Path, tmp_path: Path
) -> None:
    """THREATS: `hookgate hook` inherits a hostile environment."""
    environ = hostile(tmp_path, with_python=True)
    # In the traps' own folder, for what stands there is not imported either.
    ended = run([str(python), "-I", "-m", "hookgate"], configured(), environ, tmp_path / "traps")
    assert (ended.code, json.loads(ended.out)) == (0, DENY)
    assert service.seen[0][0]["x-claude-user"] == ME
    assert [path.name for path in tmp_path.glob("ran-*")] == []


def test_a_start_that_is_not_isolated_is_begun_anew_without_the_environment(
    service: Service, configured: Configured, python: Path, tmp_path: Path
) -> None:
    ended = run([str(python), "-m", "hookgate"], configured(), hostile(tmp_path, with_python=False), tmp_path)
    assert (ended.code, json.loads(ended.out)) == (0, DENY)
    assert service.seen[0][0]["x-claude-user"] == ME
    assert [path.name for path in tmp_path.glob("ran-*")] == []


def test_over_tls_only_the_configured_authority_counts_and_the_certificate_is_shown(
    configured: Configured, python: Path, tmp_path: Path
) -> None:
    good, evil = trustme.CA(), trustme.CA()
    good.cert_pem.write_to_path(str(tmp_path / "good.pem"))
    evil.cert_pem.write_to_path(str(tmp_path / "evil.pem"))
    mine = good.issue_cert("alex@example.com")
    mine.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "mine.pem"))
    environ = hostile(tmp_path, with_python=True)
    for authority, trusted in ((good, True), (evil, False)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        context.verify_mode = ssl.CERT_REQUIRED
        good.configure_trust(context)
        service = Service(context)
        try:
            files = {"client_certificate": str(tmp_path / "mine.pem"), "ca_file": str(tmp_path / "good.pem")}
            ended = run([str(python), "-I", "-m", "hookgate"], configured(url=service.url, **files), environ, tmp_path)
            assert (ended.code, len(service.seen)) == ((0, 1) if trusted else (2, 0)), ended.err
            assert trusted or "certificate" in ended.err
            # Nor does the environment's authority count where none is configured.
            alone = run([str(python), "-I", "-m", "hookgate"], configured(url=service.url), environ, tmp_path)
            assert (alone.code, "certificate" in alone.err) == (2, True)
        finally:
            service.close()
    assert [path.name for path in tmp_path.glob("ran-*")] == []


def started(python: Path, config: Path, program: str = "", **streams: Any) -> "subprocess.Popen[bytes]":
    """Starts it, with pipes for streams that are not given."""
    if os.geteuid() != 0:
        pytest.skip("only root can write what the bridge takes for its configuration")
    arguments = ["hook", "--config", str(config)]
    how = ["-c", program, *arguments[1:]] if program else ["-m", "hookgate", *arguments]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([python, "-I", *how], **{**pipes, **streams})


def ended(process: "subprocess.Popen[bytes]", sent: dict[str, Any] | None = None) -> Ended:
    out, err = process.communicate(json.dumps(sent).encode() if sent else None, timeout=60)
    return Ended(process.returncode, (out or b"").decode(), (err or b"").decode())


@pytest.mark.parametrize(("event", "code"), [("PreToolUse", 2), ("Stop", 1)])
def test_nobody_in_time_blocks_but_where_that_would_mean_working_on(
    service: Service, configured: Configured, python: Path, event: str, code: int
) -> None:
    service.drips = 0.2
    done = ended(started(python, configured(timeout_seconds=0.5)), {"hook_event_name": event})
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith("[hookgate hook] no answer: not in time. ")


def test_a_client_that_sends_no_end_is_not_waited_for(configured: Configured, python: Path) -> None:
    process = started(python, configured(timeout_seconds=0.2))
    assert process.wait(60) == 2
    assert "not in time" in ended(process).err


#: Like a look-up of a name that hangs: no signal gets a thread out of it.
HANGING_LOOK_UP = """
import ctypes, socket, sys
from hookgate.client.bridge.run import main
libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
libc.pthread_mutex_lock(mutex)
socket.getaddrinfo = lambda *_, **__: libc.pthread_mutex_lock(mutex)
main(sys.argv[1:])
"""


def test_a_name_server_that_does_not_answer_is_not_waited_for(configured: Configured, python: Path) -> None:
    config = configured(url="http://hookgate.example/", timeout_seconds=0.2)
    done = ended(started(python, config, HANGING_LOOK_UP), payload("PreToolUse.Bash"))
    assert (done.code, "not in time" in done.err) == (2, True)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1"])
def test_whoever_ends_it_while_it_asks_blocks_the_call(
    service: Service, configured: Configured, python: Path, name: str
) -> None:
    service.drips = 60
    with started(python, configured(timeout_seconds=60)) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(json.dumps(payload("PreToolUse.Bash")).encode())
        process.stdin.close()
        until(lambda: service.seen, seconds=60, what="it to ask")
        process.send_signal(getattr(signal, name))
        assert process.wait(60) == 2
        assert b"Blocked" in process.stderr.read()


@pytest.mark.parametrize(
    ("number", "told"), [(0, "standard input is closed"), (1, "standard output is closed"), (2, "")]
)
def test_without_one_of_its_streams_it_blocks(
    service: Service, configured: Configured, python: Path, number: int, told: str
) -> None:
    if number == 2:
        service.answer = b""
    process = started(python, configured(), CLOSED.format(number=number))
    done = ended(process, payload("PreToolUse.Bash"))
    assert (done.code, told in done.err) == (2, True)


CLOSED = "import os, sys; os.close({number}); os.execv(sys.executable, [sys.executable, '-I', '-m', 'hookgate', 'hook', *sys.argv[1:]])"


def test_an_answer_that_nobody_takes_blocks(service: Service, configured: Configured, python: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert ended(started(python, configured(), stdout=writer), payload("PreToolUse.Bash")).code == 2
        service.answer = b""
        assert ended(started(python, configured(), stderr=writer), payload("PreToolUse.Bash")).code == 2
    finally:
        os.close(writer)


def test_a_bridge_that_can_not_even_begin_blocks(configured: Configured, python: Path) -> None:
    broken = "import sys; sys.modules['hookgate.client.bridge.posting'] = None; from hookgate.client.bridge.start import start; start(sys.argv[1:])"
    done = ended(started(python, configured(), broken), payload("PreToolUse.Bash"))
    assert (done.code, done.err) == (2, "[hookgate hook] failed: ModuleNotFoundError. Blocked.\n")


def test_it_imports_nothing_of_the_rest(python: Path) -> None:
    program = "import sys; from hookgate.client.bridge import run, start; import hookgate.__main__; print(*sys.modules)"
    told = subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, check=True)
    found = set(told.stdout.split())
    assert {"http.client", "hookgate.client.bridge.posting"} <= found
    ours = {name for name in found if name.startswith("hookgate")}
    assert ours == {
        "hookgate",
        "hookgate.__main__",
        "hookgate.client",
        *(f"hookgate.client.bridge{name}" for name in ("", ".config", ".posting", ".run", ".start")),
    }
    assert not found & {
        "typer",
        "aiohttp",
        "asyncio",
        "yaml",
        "msgspec",
        "rich",
        "urllib.request",
        "inspect",
        "pathlib",
    }


def cpu_seconds(command: list[str]) -> float:
    """Gives the least of what some runs took of the processor."""

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, input=b"{}", capture_output=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return min(once() for _ in range(5))


def test_it_takes_a_few_times_what_python_takes_to_start(configured: Configured, python: Path) -> None:
    """A hook starts it each time. Measured as what the processor does, which another load leaves alone."""
    config = configured(url="http://127.0.0.1:1/")
    bare = cpu_seconds([str(python), "-I", "-c", "pass"])
    started = cpu_seconds([str(python), "-I", "-m", "hookgate", "hook", "--config", str(config)])
    assert started / bare < 8, (bare, started)
