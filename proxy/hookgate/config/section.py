"""What every section of the configuration is."""

from typing import Annotated

import msgspec

Days = Annotated[float, msgspec.Meta(gt=0)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A mapping in the file; unknown keys are refused."""
