"""How the service says, in fields of its answer, whom it takes a caller for; only to those who ask, and of themselves."""

from collections.abc import Mapping
from urllib.parse import quote

#: The field of a request that asks for it. Claude Code never sends it, and reads no field of an answer.
ASKING = "X-Hookgate-Doctor"
#: How the fields of the answer begin.
TOLD = "X-Hookgate-"
_MAX_CHARACTERS = 1000


def told_fields(told: Mapping[str, str]) -> dict[str, str]:
    """Gives the fields; values are escaped as in a URL."""
    return {
        f"{TOLD}{name.title()}": quote(value[:_MAX_CHARACTERS], safe=" ,:/@=+", errors="replace")
        for name, value in told.items()
    }
