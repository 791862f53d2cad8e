"""`hookgate facts`: what policies are told about a call."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hookgate.commands.fault import stop_with
from hookgate.errors import GateError
from hookgate.facts import facts_of
from hookgate.hooks.decode import Read
from hookgate.hooks.event import event_from


def facts(
    command: Annotated[
        str | None, typer.Argument(help="A command line; without one, a payload is read from standard input.")
    ] = None,
    cwd: Annotated[
        str, typer.Option(help="The working directory that the command line starts in. Default: this one.")
    ] = "",
) -> None:
    """Print the facts about a command line, or about the payload of a hook: what policies see as `R.attr.facts`."""
    if command is None:
        try:
            payload = msgspec.json.decode(sys.stdin.buffer.read(), type=dict)
        except msgspec.MsgspecError as error:
            stop_with(
                f"standard input is no JSON object ({error}): give a hook's payload, or a command line as the argument"
            )
    else:
        payload = {
            "hook_event_name": "PreToolUse",
            "tool_name": "Bash",
            "tool_input": {"command": command},
            "cwd": cwd or str(Path.cwd()),
        }
    try:
        event = event_from(Read(payload, altered=False, truncated=()))
    except GateError as error:
        stop_with(f"the payload can't be used: {error.detail}")
    found = msgspec.json.encode(facts_of(event).attributes())
    typer.echo(msgspec.json.format(found, indent=2).decode())
