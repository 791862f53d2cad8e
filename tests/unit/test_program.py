"""A sub-command comes without the others, and is the same as among them."""

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from hookgate.commands import app
from hookgate.commands.program import NAMES, alone
from tests.conftest import ROOT


def told(program: typer.Typer, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(program, [*arguments, "--help"], prog_name="hookgate")
    return done.exit_code, done.output


def test_there_is_no_command_but_the_version_that_does_not_come_alone() -> None:
    assert set(typer.main.get_group(app).commands) == {*NAMES, "version"}


@pytest.mark.parametrize("name", NAMES)
def test_alone_it_has_the_same_options_and_is_called_the_same(name: str) -> None:
    assert told(alone(name), name) == told(app, name)
    assert told(app, name)[0] == 0


def test_what_ships_has_no_room_of_what_decides() -> None:
    program = (
        "import runpy, sys\nsys.argv = ['hookgate', 'ship', '--help']\n"
        "try:\n    runpy.run_module('hookgate', run_name='__main__')\n"
        "except SystemExit:\n    print(sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT / "proxy")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "'hookgate.audit.shipping.fleet'" in done.stdout
    for other in ("gate", "app.service", "policies.report", "console.server", "whatif.trying"):
        assert f"'hookgate.{other}'" not in done.stdout
