"""The program that sub-commands are part of."""

from importlib import import_module

import typer

#: A module of this package each, which has a function of its name, or an `app` with sub-commands of its own.
NAMES = (
    "serve", "ship", "console", "dev", "demo", "check", "settings", "hook", "doctor", "facts", "whatif", "fetch", "enroll",
    "fleet", "audit", "collect", "config", "policies", "token",
)  # fmt: skip


def program() -> typer.Typer:
    """Gives it without any."""
    return typer.Typer(
        name="hookgate",
        help="A Cerbos policy decision in front of every tool call of Claude Code.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )


def alone(name: str) -> typer.Typer:
    """Gives it with one sub-command only, which is still called by its name."""
    app = program()
    app.callback()(lambda: None)
    add(app, name)
    return app


def add(app: typer.Typer, name: str) -> None:
    """Adds a sub-command."""
    module = import_module(f"hookgate.commands.{name}")
    if hasattr(module, "app"):
        app.add_typer(module.app, name=name)
    else:
        app.command()(getattr(module, name))
