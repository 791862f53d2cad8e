"""`hookgate demo`: three recorded calls to a running Hookgate, so that one sees a deny without having a client."""

import asyncio
import getpass
from typing import Annotated, Any

import aiohttp
import msgspec
import typer
from rich.console import Console
from rich.text import Text

from hookgate.commands.fault import stop_with
from hookgate.harmless import harmless
from hookgate.recorded import named

_TIMEOUT_SECONDS = 10


def demo(
    url: Annotated[str, typer.Option(help="Where hooks are posted to.")] = "http://127.0.0.1:3594/ext/claude",
) -> None:
    """Post three recorded calls (one that is allowed, one that is denied, one that no policy speaks of) and show the answers."""
    try:
        answers = asyncio.run(_post_all(url, calls()))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        stop_with(f"{url}: no answer ({type(error).__name__}): is `make run` (hookgate dev) running?")
    console = Console(highlight=False, soft_wrap=True)
    for title, body, answer in answers:
        console.print(Text(title, style="bold"))
        console.print(Text(f"  sent    {harmless(msgspec.json.encode(body.get('tool_input', body)).decode(), 110)}"))
        console.print(
            Text(f"  answer  {harmless(msgspec.json.encode(answer).decode())}", style="green" if not answer else "red")
        )


def calls() -> list[tuple[str, dict[str, Any]]]:
    """Gives the three calls with a title each."""
    status, read, notification = (
        named(name).body for name in ("PreToolUse.Bash", "PreToolUse.Read", "Notification.idle_prompt")
    )
    secret = {**read, "tool_input": {**read["tool_input"], "file_path": f"{read['cwd']}/.env.production"}}
    return [
        ("Bash `git status`: allowed, so the client's own rules go on", status),
        ("Read .env.production: denied, with the policy's reason", secret),
        ("A notification: no policy speaks of it", notification),
    ]


async def _post_all(
    url: str, sent: list[tuple[str, dict[str, Any]]]
) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    answers = []
    headers = {"X-Claude-User": _user()}
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        for title, body in sent:
            async with session.post(url, json=body) as response:
                answers.append((title, body, await response.json()))
    return answers


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # In a container the user id may have no name.
        return ""
