"""Asking the PDP, within what is left of a decision's time."""

import asyncio
import time

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential, wait_random

from hookgate.errors import ErrorKind, GateError
from hookgate.pdp.decision import Decision
from hookgate.pdp.request import Question, encode
from hookgate.pdp.response import allow_deep_answers, decode
from hookgate.pdp.transport import Transport

#: A retry with less than this left would only turn an outage into a timeout.
_LEAST_SECONDS = 0.02


class PdpClient:
    """Asks questions over one transport. `max_request_bytes` is what the PDP takes."""

    def __init__(self, transport: Transport, *, max_request_bytes: int) -> None:
        self._transport = transport
        self._max_request_bytes = max_request_bytes
        allow_deep_answers()

    async def check(self, question: Question, deadline: float) -> Decision:
        """Gives the decision; `deadline` is a time of the running loop's clock.

        An unavailable PDP is asked again until the deadline: it may be restarting. Raises GateError of a `pdp_…` kind.
        """
        request = encode(question)
        if len(request) > self._max_request_bytes:
            raise GateError(ErrorKind.PDP_TOO_LARGE, f"{len(request)} bytes, the PDP takes {self._max_request_bytes}")
        begun = time.perf_counter()
        try:
            response = await self._once(request, deadline)
        except GateError as error:
            if error.kind is not ErrorKind.PDP_UNAVAILABLE:
                raise
            response = await self._again(request, deadline)
        return decode(response, question, time.perf_counter() - begun)

    async def _once(self, request: bytes, deadline: float) -> bytes:
        left = deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise GateError(ErrorKind.PDP_TIMEOUT, "no time left to ask")
        return await self._transport(request, left)

    async def _again(self, request: bytes, deadline: float) -> bytes:
        wait = wait_exponential(multiplier=0.02, max=0.25) + wait_random(0, 0.02)
        loop = asyncio.get_running_loop()

        def out_of_time(state: RetryCallState) -> bool:
            return loop.time() + state.upcoming_sleep + _LEAST_SECONDS >= deadline

        retrying = AsyncRetrying(retry=retry_if_exception(_is_unavailable), wait=wait, stop=out_of_time, reraise=True)
        return await retrying(self._once, request, deadline)


def _is_unavailable(error: BaseException) -> bool:
    return isinstance(error, GateError) and error.kind is ErrorKind.PDP_UNAVAILABLE
