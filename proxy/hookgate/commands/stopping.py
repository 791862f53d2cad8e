"""The signals that end a command."""

import asyncio
import signal


def stop_on(*numbers: signal.Signals) -> asyncio.Event:
    """Gives an event that is set when one of these signals comes."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    return stop
