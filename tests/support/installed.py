"""A Python in which Hookgate is installed, for what is run by `python -I -m hookgate`."""

import venv
from pathlib import Path

from tests.support.service import ROOT


def installed(directory: Path) -> Path:
    """Makes one; gives its absolute path. Only what needs nothing but the standard library works in it."""
    venv.create(directory, symlinks=True)
    (packages,) = directory.glob("lib/python*/site-packages")
    (packages / "hookgate.pth").write_text(f"{ROOT / 'proxy'}\n")
    return directory / "bin" / "python"
