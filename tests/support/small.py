"""A few policies that a PDP compiles in no time: the canary's, and one for PreToolUse that denies what the rollout's denies."""

import shutil
from pathlib import Path

from tests.docs import tables

_ROLLOUT = tables.ROOT / "tests" / "fixtures" / "guide-policies" / "6" / "pre_tool_use.yaml"


def small_policies(folder: Path) -> Path:
    """Writes them to a folder, which is made; gives it."""
    folder.mkdir(parents=True)
    for file in (tables.ROOT / "policies" / "canary.yaml", _ROLLOUT):
        shutil.copy(file, folder)
    return folder
