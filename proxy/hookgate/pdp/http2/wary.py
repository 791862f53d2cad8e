"""Our own HTTP/2 until it meets what it does not know, and another transport from then on."""

from collections.abc import Callable

from hookgate.pdp.http2.dial import Dial
from hookgate.pdp.http2.transport import Http2Transport
from hookgate.pdp.transport import Channel, Metadata


class WaryTransport:
    """A channel that changes its transport once at the most, for what `instead` makes. Calls that are under way then fail as those
    of a PDP that is unavailable, which is asked again within their time. `fell_back` is called with why."""

    def __init__(
        self,
        dial: Dial,
        metadata: Callable[[], Metadata | None],
        *,
        instead: Callable[[], Channel],
        fell_back: Callable[[str], None],
    ) -> None:
        self._instead = instead
        self._fell_back = fell_back
        self._own = Http2Transport(dial, metadata, unfamiliar=self._fall_back)
        self._ask: Channel = self._own

    async def __call__(self, request: bytes, timeout_seconds: float) -> bytes:
        """Asks once. Raises GateError."""
        return await self._ask(request, timeout_seconds)

    async def close(self) -> None:
        """Ends the calls under way and the channel."""
        await self._own.close()
        if self._ask is not self._own:
            await self._ask.close()

    def _fall_back(self, why: str) -> None:
        if self._ask is self._own:
            self._ask = self._instead()
            self._fell_back(why)
