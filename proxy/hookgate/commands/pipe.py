"""What becomes of a command whose reader has had enough, as in `hookgate audit tail | head`: it ends, and nothing is wrong."""

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

#: Their exit code is an answer, which is owed also where nobody reads the rest.
_ANSWERING = frozenset({"verify", "ship", "report"})


class PipedGroup(TyperGroup):
    """Commands that end with 0, and silently, when what they write to is closed."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command that was named."""
        try:
            result = super().invoke(ctx)
            # Here, and not when Python ends, where it could only be complained of.
            sys.stdout.flush()
        except (BrokenPipeError, SystemExit) as end:
            if not _is_closed_pipe(end) or ctx.invoked_subcommand in _ANSWERING:
                raise
            # Python must not try once more at its end.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
            raise typer.Exit from None
        return result


def _is_closed_pipe(end: BaseException) -> bool:
    """Rich makes an exit of its own of it."""
    return isinstance(end, BrokenPipeError) or isinstance(end.__context__, BrokenPipeError)
