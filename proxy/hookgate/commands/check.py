"""`hookgate check`: one decision explained."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from hookgate.binaries import BinaryError, find_cerbos
from hookgate.commands.fault import stop_with, stop_with_config
from hookgate.config import Config, ConfigError, load, parse
from hookgate.errors import ErrorKind
from hookgate.explain import Explanation, explain
from hookgate.harmless import harmless
from hookgate.outcome import Outcome
from hookgate.pdp.client import PdpClient
from hookgate.pdp.process import CerbosError, CerbosProcess
from hookgate.pdp.transport import ChannelError, channel_for

#: Exit codes, by outcome; 0 for the others.
_EXIT = {Outcome.DENY: 4, Outcome.ASK: 3, Outcome.DEFER: 3, Outcome.ERROR: 1}


def check(
    user: Annotated[str, typer.Option(help="Principal id to ask for, as X-Claude-User would name it.")] = "",
    roles: Annotated[str, typer.Option(help="Roles to ask for, separated by commas.")] = "",
    policies: Annotated[
        Path | None,
        typer.Option(help="Directory of policies: a PDP is started for them. Default: policies/, if it is there."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration of a service, whose PDP is asked.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the explanation as JSON.")] = False,
) -> None:
    """Read a hook's payload from standard input and explain the decision about it: what is asked, what the PDP says, what is
    dropped and why, and the answer.

    Exit 0 allowed or no opinion, 3 ask, 4 deny, 1 error.
    """
    if config is None and policies is None:
        policies = Path("policies")
    try:
        settings = load(config) if config else parse({"pdp": {"address": "unix:pending"}})
        explanation = asyncio.run(_explain(settings, policies, user, roles, sys.stdin.buffer.read()))
    except ConfigError as error:
        stop_with_config(error)
    except (BinaryError, CerbosError, ChannelError) as error:
        stop_with(str(error))
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(explanation), indent=2).decode())
    else:
        _show(explanation)
    raise typer.Exit(_EXIT.get(Outcome(explanation.record.outcome), 0))


async def _explain(settings: Config, policies: Path | None, user: str, roles: str, body: bytes) -> Explanation:
    async with _address(settings, policies) as address:
        pdp_settings = msgspec.structs.replace(settings.pdp, address=address)
        settings = msgspec.structs.replace(settings, pdp=pdp_settings)
        transport = channel_for(pdp_settings)
        try:
            pdp = PdpClient(transport, max_request_bytes=pdp_settings.max_request_bytes)
            return await explain(body, {"X-Claude-User": user, "X-Claude-User-Roles": roles}, settings, pdp)
        finally:
            await transport.close()


@asynccontextmanager
async def _address(settings: Config, policies: Path | None) -> AsyncIterator[str]:
    if policies is None:
        yield settings.pdp.address
        return
    process = CerbosProcess(find_cerbos(say=lambda line: typer.echo(f"hookgate: {line}", err=True)).path, policies)
    try:
        await process.start()
        yield process.address
    finally:
        await process.stop()


def _show(explanation: Explanation) -> None:
    console = Console(highlight=False, soft_wrap=True)
    record = explanation.record

    def line(name: str, value: object, style: str = "") -> None:
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        console.print(Text(f"{name:<14}", style="bold").append(harmless(text), style=style))

    line("principal", f"{record.user}  roles {', '.join(record.roles)}")
    for asked in explanation.asked:
        line(
            "asked",
            f"{asked['action']} on {asked['kind']} {asked['id']}" + (f" in {asked['scope']}" * bool(asked["scope"])),
        )
        line("attributes", asked["attributes"])
    if record.error:
        kind = ErrorKind(record.error)
        line("error", f"{kind.value}: {kind.meaning} {record.error_detail}", "red")
    else:
        line("effect", record.effect or "none: no policy for this kind")
        line("policy", record.policy)
    for output in record.outputs:
        line("output", output.source)
        line("", output.error or output.value)
    for dropped in record.dropped:
        line("dropped", f"{dropped.field or 'all'} of {dropped.source}: {dropped.why}", "yellow")
    for source in record.contradictions:
        line("contradiction", f"{source} disagrees with the effect", "yellow")
    line("outcome", record.outcome, "green" if record.outcome in ("allow", "no_match") else "red")
    line("answer", record.answer)
