"""Where a command stands."""

import msgspec

from hookgate.facts.shell.flow import NOTHING, Flow
from hookgate.facts.shell.grammar import Unreadable

_MAX_WRAPPERS = 16


class Frame(msgspec.Struct, frozen=True):
    """What a command stands in: programs that run it, from the outside in; what flows into it; texts that it was read out of."""

    wrappers: tuple[str, ...] = ()
    flow: Flow = NOTHING
    nested: int = 0

    def fed(self, flow: Flow) -> "Frame":
        """Gives the frame with another flow into it."""
        return self if flow is self.flow else Frame(self.wrappers, flow, self.nested)

    def within(self, program: str) -> "Frame":
        """Gives the frame of a command on the line of a program. Raises Unreadable: too_deep."""
        if len(self.wrappers) > _MAX_WRAPPERS:
            raise Unreadable("too_deep")
        return Frame((*self.wrappers, program), self.flow, self.nested)

    def inside(self, program: str) -> "Frame":
        """Gives the frame of a text that a program reads as a command line. Raises Unreadable: too_deep."""
        return Frame(self.within(program).wrappers, self.flow, self.nested + 1)


OUTERMOST = Frame()
