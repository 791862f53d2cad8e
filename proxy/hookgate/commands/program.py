"""The program that sub-commands are part of."""

import typer


def program() -> typer.Typer:
    """Gives it without any."""
    return typer.Typer(
        name="hookgate",
        help="A Cerbos policy decision in front of every tool call of Claude Code.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )


def alone(command: typer.models.CommandFunctionType) -> typer.Typer:
    """Gives it with one sub-command only, which is still called by its name."""
    app = program()
    app.callback()(lambda: None)
    app.command()(command)
    return app
