"""The test hook, and what this user could do to the guard."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hookgate.client.finding import Kind
from hookgate.client.power import guard_processes, power_over, way_in
from hookgate.client.probe import Probed, findings_of, harmless_hook, probe
from hookgate.client.telling import told_fields


class Answering(BaseHTTPRequestHandler):
    """Answers as told, and keeps what it was sent."""

    status = 200
    body: ClassVar[bytes] = b"{}"
    fields: ClassVar[dict[str, str]] = {}
    seen: ClassVar[list[Any]] = []

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.path, dict(self.headers), json.loads(data)))
        self.send_response(self.status)
        for name, value in self.fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    Answering.status, Answering.body, Answering.fields = 200, b"{}", {}
    Answering.seen.clear()
    server = HTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/ext/claude"
    server.shutdown()
    thread.join()
    server.server_close()


TOLD = {"user": "alex", "source": "token", "verified": "true", "mode": "enforce", "outcome": "allow", "error": ""}


def kinds(url: str, **told: str) -> list[Kind]:
    Answering.fields = told_fields(TOLD | told)
    found = probe(url, {"X-Claude-User": "alex"}, {}, harmless_hook("/project"))
    return [finding.kind for finding in findings_of(found, url)]


def test_the_hook_goes_out_with_the_headers_and_the_answer_is_read(url: str) -> None:
    assert kinds(url) == []
    ((path, headers, body),) = Answering.seen
    assert path == "/ext/claude"
    assert headers["X-Claude-User"] == "alex"
    assert headers["Content-Type"] == "application/json"
    assert (body["hook_event_name"], body["tool_input"]["command"]) == ("PreToolUse", "true")


def test_what_the_service_says_of_the_user_is_found_to_be_weak(url: str) -> None:
    assert kinds(url, source="header", verified="false") == [Kind.USER_UNVERIFIED]
    assert kinds(url, source="default", verified="false") == [Kind.USER_UNKNOWN]
    assert kinds(url, mode="observe") == [Kind.NOT_ENFORCED]
    assert kinds(url, outcome="error", error="identity_invalid", user="", source="") == [Kind.ANSWER_WRONG]


def test_what_is_no_hookgate_is_told_from_one(url: str) -> None:
    found = probe(url, {}, {}, {})
    assert [one.kind for one in findings_of(found, url)] == [Kind.ANSWER_WRONG]
    for status, body in ((500, b"{}"), (200, b"hello"), (200, b"[]"), (204, b"")):
        Answering.status, Answering.body = status, body
        assert kinds(url) == [Kind.ANSWER_WRONG]


def test_nobody_there_and_a_slow_one_are_found(url: str) -> None:
    gone = probe("http://127.0.0.1:1/ext/claude", {}, {}, {})
    assert [(one.kind, one.detail) for one in findings_of(gone, url)] == [(Kind.UNREACHABLE, "Connection refused")]
    assert [one.kind for one in findings_of(Probed(1.5, 200, {}, TOLD), url)] == [Kind.SLOW]


def test_a_header_that_does_not_fit_into_latin_1_is_sent_mangled_and_a_name_comes_back_whole(url: str) -> None:
    Answering.fields = told_fields(TOLD | {"user": "Jürgen\n日"})
    found = probe(url, {"X-Claude-User": "日本"}, {}, {})
    assert found.told["user"] == "Jürgen\n日"


def as_another_user(work: Any) -> Any:
    """Runs in a child that is nobody, where we are root; gives what it gives."""
    if os.geteuid() != 0:
        return json.loads(json.dumps(work()))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            os.write(writing, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        text = stream.read()
    os.waitpid(child, 0)
    return json.loads(text)


def test_files_that_this_user_could_change_are_found(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for parent in list(tmp_path.parents)[:3]:
        if str(parent) not in ("/", "/tmp"):
            parent.chmod(0o755)
    open_directory, sticky, closed = tmp_path / "open", tmp_path / "sticky", tmp_path / "closed"
    for directory, mode in ((open_directory, 0o777), (sticky, 0o1777), (closed, 0o755)):
        directory.mkdir()
        (directory / "file").write_text("x")
        (directory / "file").chmod(0o444)
        directory.chmod(mode)
    (closed / "loose").write_text("x")
    (closed / "loose").chmod(0o666)
    link = closed / "link"
    link.symlink_to(open_directory / "file")
    closed.chmod(0o555)
    tmp_path.chmod(0o555)
    paths = [open_directory / "file", sticky / "file", closed / "file", closed / "loose", link, tmp_path / "missing"]
    ways = as_another_user(lambda: [str(way_in(path) or "") for path in paths])
    tmp_path.chmod(0o755)
    # Who owns an entry may exchange it, sticky or not.
    kept = "" if os.geteuid() == 0 else str(sticky)
    assert ways == [str(open_directory), kept, "", str(closed / "loose"), str(open_directory), ""]
    found = as_another_user(lambda: [(one.kind.value, one.place) for one in power_over(paths[3:5], proc=tmp_path)])
    assert [tuple(one) for one in found] == [(Kind.WRITABLE, str(paths[n])) for n in (3, 4)]


def test_root_is_told_once_that_nothing_keeps_it_from_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert [one.kind for one in power_over([tmp_path])] == [Kind.RUN_AS_ROOT]


def test_processes_that_this_user_could_stop_are_found(tmp_path: Path) -> None:
    for number, words in (
        (101, "/opt/hookgate/bin/python\0/opt/hookgate/bin/hookgate\0serve\0--config\0x\0"),
        (102, "/usr/local/bin/cerbos\0server\0--config=x\0"),
        (103, "vi\0hookgate\0"),
        (104, "python\0-m\0hookgate\0ship\0"),
        (105, "hookgate\0doctor\0"),
    ):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "cmdline").write_text(words)
    (tmp_path / "self").mkdir()
    found = sorted(guard_processes(os.geteuid(), tmp_path))
    assert found == [(101, "hookgate serve"), (102, "cerbos server"), (104, "hookgate ship")]
    assert list(guard_processes(os.geteuid() + 1, tmp_path)) == []
    assert Kind.SIGNALABLE.severity.value == "hole"


def test_the_command_tells_all_of_it_as_json_and_by_its_exit_code(tmp_path: Path, url: str) -> None:
    Answering.fields = told_fields(TOLD | {"source": "header", "verified": "false"})
    settings = tmp_path / "managed.json"
    hook = {
        "type": "http",
        "url": url,
        "timeout": 10,
        "headers": {"authorization": "Bearer ${TOKEN}"},
        "allowedEnvVars": ["TOKEN"],
    }
    settings.write_text(json.dumps({"hooks": {"PreToolUse": [{"matcher": "*", "hooks": [hook]}]}}))
    command = [sys.executable, "-m", "hookgate", "doctor", "--settings", str(settings)]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TOKEN": "hunter2-secret"}

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *more], env=environ, capture_output=True, text=True, timeout=60, check=False)

    told = run("--json")
    assert told.returncode == 4, told.stderr
    found = json.loads(told.stdout)
    names = {finding["name"] for finding in found["findings"]}
    assert {"fails_open", "user_unverified", "event_missing"} <= names
    assert (found["test"]["user"], found["test"]["status"]) == ("alex", 200)
    assert Answering.seen[0][1]["authorization"] == "Bearer hunter2-secret"
    plain = run("--no-send")
    assert plain.returncode == 4
    assert "fails_open" in plain.stdout
    assert len(Answering.seen) == 1
    assert "hunter2" not in told.stdout + told.stderr + plain.stdout + plain.stderr
