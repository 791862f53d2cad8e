"""`hookgate dev`: the PDP, Hookgate and a directory of policies on this machine, to try things out."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop
from rich.console import Console
from rich.text import Text

from hookgate.app.exposure import exposures
from hookgate.app.service import Service, StartError
from hookgate.binaries import Binary, BinaryError, find_cerbos
from hookgate.client.settings import LEAST_CLIENT_VERSION, settings_for
from hookgate.commands.fault import stop_with, stop_with_config
from hookgate.commands.screen import decision_line
from hookgate.commands.stopping import stop_on
from hookgate.config import Config, ConfigError, parse
from hookgate.console.link import link_path
from hookgate.pdp.process import CerbosError, CerbosProcess
from hookgate.telemetry.log import adopt_libraries, make_logger
from hookgate.telemetry.writer import LineWriter

_RESTART_SECONDS = 0.5
_READY_SECONDS = 10.0
_CHECK_STOP_SECONDS = 5.0
_LINK_SECONDS = 0.1


def dev(
    *,
    policies: Annotated[
        Path, typer.Option(help="Directory of Cerbos policies; changes are live within seconds.")
    ] = Path("policies"),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1 for the hooks; 0 picks a free one.")
    ] = 3594,
    admin_port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1 for probes and metrics.")] = 9464,
    console_port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="Port on 127.0.0.1 for the pages over the records; 0 picks a free one."),
    ] = 3595,
    observe: Annotated[
        bool, typer.Option("--observe", help="Answer nothing, only record what would be answered.")
    ] = False,
    state: Annotated[Path, typer.Option(help="Directory for the client's settings file and the records.")] = Path(
        ".hookgate"
    ),
) -> None:
    """Start Cerbos and Hookgate on this machine, and show one line a decision. Ctrl-C ends both.

    It runs as you and protects nothing from you: it is for trying out policies.
    """
    try:
        binary = find_cerbos(say=_say)
        _make(state)
        settings = _configuration(port, admin_port, console_port, observe=observe, state=state, policies=policies)
        uvloop.run(_run(settings, binary, policies, state))
    except (BinaryError, CerbosError) as error:
        stop_with(str(error))
    except StartError as error:
        stop_with(_as_options(str(error)))
    except ConfigError as error:
        stop_with_config(error)


def _as_options(fault: str) -> str:
    """Names the options of this command where a fault names settings, of which it has no file."""
    for setting, option in (
        ("server.port", "--port"),
        ("admin.port", "--admin-port"),
        ("console.port", "--console-port"),
        ("audit.directory", "--state"),
    ):
        fault = fault.replace(setting, option)
    return fault


def _configuration(
    port: int, admin_port: int, console_port: int, *, observe: bool, state: Path, policies: Path
) -> Config:
    return parse(
        {
            # Filled in when the PDP has its socket.
            "pdp": {"address": "unix:pending"},
            "server": {"port": port, "linger_seconds": 0.1, "grace_seconds": 2.5},
            "admin": {"port": admin_port},
            "mode": "observe" if observe else "enforce",
            "audit": {"directory": str(state / "audit")},
            "console": {"enabled": True, "port": console_port}
            | ({"policies": str(policies)} if policies.is_dir() else {}),
            "log": {"format": "console", "level": "warning"},
        }
    )


async def _run(settings: Config, binary: Binary, policies: Path, state: Path) -> None:
    writer = LineWriter(sys.stdout)
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)

    def show(*lines: object) -> None:
        with console.capture() as captured:
            for line in lines:
                console.print(line)
        writer(captured.get().rstrip("\n"))

    stop = stop_on(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    pdp = CerbosProcess(binary.path, policies)
    try:
        await pdp.start()
        # The screen has a line for each decision already.
        log = make_logger(settings.log, writer, quiet={"decision"})
        adopt_libraries(log)
        settings = msgspec.structs.replace(settings, pdp=msgspec.structs.replace(settings.pdp, address=pdp.address))
        service = Service(
            settings,
            log,
            log_writer=writer,
            observe=lambda record: show(decision_line(record)),
            notices=[exposure.line() for exposure in exposures(settings, None)],
        )
        # What another start has left lets nobody in any more.
        with suppress(OSError):
            link_path(Path(settings.audit.directory)).unlink()
        await service.start({})
        beside = [asyncio.create_task(_keep(pdp, show))]
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(service.canary.asked.wait(), _READY_SECONDS)
            url = f"http://{service.hooks.address}{settings.server.path}"
            file = _write_settings(state, url)
            show(*_welcome(service, binary, policies, url, file, observe=settings.mode.value == "observe"))
            beside.append(asyncio.create_task(_show_link(Path(settings.audit.directory), show)))
            beside.append(asyncio.create_task(_check(policies, show)))
            await stop.wait()
            show("", "Stopping.")
        finally:
            for task in beside:
                task.cancel()
            await service.stop()
            await asyncio.gather(*beside, return_exceptions=True)
    finally:
        await pdp.stop()
        writer.close()


async def _check(policies: Path, show: Callable[..., None]) -> None:
    """Shows what `hookgate policies check` says, from a process of its own: decisions need not wait for it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hookgate", "policies", "check", str(policies)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A terminal's Ctrl-C is for us.
        start_new_session=True,
    )
    try:
        said, _ = await process.communicate()
    except asyncio.CancelledError:
        # It has PDPs of its own, and ends them when it is interrupted, but not when it is killed.
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(process.wait(), _CHECK_STOP_SECONDS)
        except TimeoutError:
            process.kill()
        raise
    show(Text(said.decode(errors="replace").rstrip(), style="dim"), "")


async def _show_link(directory: Path, show: Callable[..., None]) -> None:
    """Shows the link to the pages once the shipping process has made it."""
    path = link_path(directory)
    while True:
        try:
            show(Text.assemble("Pages:    ", (path.read_text(encoding="ascii").strip(), "bold")), "")
        except (OSError, ValueError):
            await asyncio.sleep(_LINK_SECONDS)
        else:
            return


async def _keep(pdp: CerbosProcess, show: Callable[..., None]) -> None:
    """Starts the PDP again when it ends; until then calls are denied."""
    while True:
        code = await pdp.wait()
        show(f"[bold red]The PDP ended with exit code {code}; calls are denied until it is back.[/]")
        while True:
            await asyncio.sleep(_RESTART_SECONDS)
            try:
                await pdp.start()
            except CerbosError as error:
                show(Text(str(error), style="bold red"))
                await asyncio.sleep(_RESTART_SECONDS * 4)
            else:
                show("The PDP is back.")
                break


def _make(state: Path) -> None:
    """Before anything else would make it for all to read."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"--state {state}: can't be made: {error.strerror}") from None


def _write_settings(state: Path, url: str) -> Path:
    file = state / "settings.json"
    content = settings_for(url, no_proxy=os.environ.get("NO_PROXY", os.environ.get("no_proxy", "")))
    try:
        file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise StartError(f"--state {state}: can't write {file}: {error.strerror}") from None
    return file


def _welcome(
    service: Service, binary: Binary, policies: Path, url: str, file: Path, *, observe: bool
) -> list[str | Text]:
    findings = service.canary.findings
    admin = f"http://{service.admin.address}" if service.admin else ""
    lines: list[str | Text] = [
        f"Hookgate decides at {url}" + (" and only observes: it answers nothing." if observe else "."),
        Text(
            f"Policies: {policies}/ (Cerbos {binary.version}, live within seconds of a change; canary: {findings.state.value})"
        ),
        Text(f"Records:  hookgate audit tail {service.config.audit.directory}    Metrics: {admin}/metrics"),
        "",
        Text.assemble(
            "  ", (f"claude --settings {file}", "bold"), f"      (Claude Code {LEAST_CLIENT_VERSION} or newer)"
        ),
        "  make demo, or hookgate demo                (three recorded calls, without a client)",
        "",
        "It runs as you and protects nothing from you. Ctrl-C ends it.",
        "",
    ]
    if binary.warning:
        lines.insert(2, Text(binary.warning, style="yellow"))
    return lines


def _say(line: str) -> None:
    typer.echo(f"hookgate: {line}", err=True)
