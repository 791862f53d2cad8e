"""`hookgate token`: make, list and revoke static tokens."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hookgate.commands.fault import stop_with, stop_with_config
from hookgate.config import ConfigError, load
from hookgate.config.identity import TokenSource
from hookgate.harmless import harmless
from hookgate.identity.names import name_fault
from hookgate.identity.tokens import Token, TokenFile

app = typer.Typer(help="Make, list and revoke static tokens.", no_args_is_help=True)

_UNITS = {"h": "hours", "d": "days", "w": "weeks"}

File = Annotated[Path | None, typer.Option(help="The token file; by itself the one that the configuration names.")]
Configuration = Annotated[Path | None, typer.Option(help="Configuration whose token source names the file.")]


@app.command()
def create(
    user: Annotated[str, typer.Option(help="Principal id of who will send it.")],
    role: Annotated[list[str] | None, typer.Option(help="A role; may be given several times.")] = None,
    expires: Annotated[str, typer.Option(help="How long it is valid: `12h`, `90d`, `4w`; or `never`.")] = "90d",
    file: File = None,
    config: Configuration = None,
) -> None:
    """Make a token and print it: this once, for only its digest is kept."""
    for name in (user, *(role or ())):
        if fault := name_fault(name) or ("" if name.strip() == name != "" else "is blank, or begins or ends so"):
            stop_with(f"the name {harmless(name, 60)!r} {fault}")
    until = _until(expires)
    try:
        text, token = TokenFile(_path(file, config)).create(user, tuple(sorted({*(role or ())})), until)
    except (OSError, ValueError) as error:
        stop_with(_fault(error, file, config))
    typer.echo(f"hookgate: token {token.id} for {user}, {_validity(token)}; it is shown this once:", err=True)
    typer.echo(text)


@app.command("list")
def list_tokens(file: File = None, config: Configuration = None) -> None:
    """Show the tokens, without what would let anybody use them."""
    try:
        tokens = TokenFile(_path(file, config)).tokens()
    except (OSError, ValueError) as error:
        stop_with(_fault(error, file, config))
    table = Table(box=None, pad_edge=False)
    for head in ("id", "user", "roles", "created", "validity"):
        table.add_column(head, no_wrap=True)
    for token in tokens.values():
        roles = ", ".join(token.roles)
        table.add_row(token.id, harmless(token.user), harmless(roles), _day(token.created), _validity(token))
    Console(highlight=False, width=200).print(table)


@app.command()
def revoke(
    identity: Annotated[str, typer.Argument(metavar="ID", help="The token's id, as `list` shows it.")],
    file: File = None,
    config: Configuration = None,
) -> None:
    """Take a token out. Within two seconds it counts no more."""
    try:
        token = TokenFile(_path(file, config)).revoke(identity)
    except (OSError, ValueError) as error:
        stop_with(_fault(error, file, config))
    if token is None:
        stop_with(f"no token has the id {harmless(identity, 60)!r}; `hookgate token list` shows them")
    typer.echo(f"hookgate: token {token.id} of {harmless(token.user)} is revoked")


def _path(file: Path | None, config: Path | None) -> Path:
    if file is not None:
        return file
    if config is None:
        stop_with("name the token file with --file, or a configuration that names it with --config")
    try:
        sources = load(config).identity.sources
    except ConfigError as error:
        stop_with_config(error)
    source = next((one for one in sources if isinstance(one, TokenSource)), None)
    if source is None:
        stop_with(f"{config}: identity.sources has none of type token")
    return Path(source.file)


def _fault(error: OSError | ValueError, file: Path | None, config: Path | None) -> str:
    why = error.strerror if isinstance(error, OSError) else str(error)
    return f"{file or f'the token file of {config}'}: {why}"


def _until(expires: str) -> datetime | None:
    if expires == "never":
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,4})([hdw])", expires)
    if match is None:
        stop_with(f"--expires: expected 12h, 90d, 4w or never, got {harmless(expires, 60)!r}")
    return datetime.now(UTC).replace(microsecond=0) + timedelta(**{_UNITS[match[2]]: int(match[1])})


def _day(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _validity(token: Token) -> str:
    if token.expires is None:
        return "valid for ever"
    return f"{'valid until' if token.is_valid(datetime.now(UTC)) else 'ran out on'} {_day(token.expires)}"
