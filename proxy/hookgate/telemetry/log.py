"""Structured logs: events with fields. JSON lines, or readable on a terminal."""

import logging
import sys
from collections.abc import Callable, Collection
from typing import Any

import structlog

from hookgate.config.tree import Log
from hookgate.harmless import harmless

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def make_logger(
    config: Log, write: Callable[[str], None], *, quiet: Collection[str] = ()
) -> structlog.typing.FilteringBoundLogger:
    """Gives a logger whose lines go to `write`, but for the events in `quiet`."""
    readable = config.format == "console" or (config.format == "auto" and sys.stderr.isatty())

    def loud(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if event["event"] in quiet:
            raise structlog.DropEvent
        return event

    processors: list[structlog.typing.Processor] = [
        loud,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
        if not readable
        else structlog.processors.format_exc_info,
        *(
            [_without_terminal_codes, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
            if readable
            else [structlog.processors.JSONRenderer(ensure_ascii=True)]
        ),
    ]
    # Bound at once: what is returned by itself binds again for each line, also for those that are not written.
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        _Sink(write),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[config.level]),
    ).bind()
    return logger


def adopt_libraries(logger: structlog.typing.FilteringBoundLogger) -> logging.Handler:
    """Takes what libraries log as warnings or worse. Only the logger's name and the exception's type are kept: aiohttp puts
    header values, credentials among them, into its messages."""
    handler = _LibraryHandler(logger)
    root = logging.getLogger()
    root.addHandler(handler)
    return handler


def _without_terminal_codes(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Tool names and the like come from callers, and a terminal obeys what it is sent."""
    return {
        key: "\n".join(map(harmless, value.split("\n") if key == "exception" else [value]))
        if isinstance(value, str)
        else value
        for key, value in event.items()
    }


class _Sink:
    """structlog's end of the line."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def msg(self, message: str) -> None:
        self._write(message)

    log = debug = info = warning = warn = error = critical = exception = fatal = msg


class _LibraryHandler(logging.Handler):
    def __init__(self, logger: structlog.typing.FilteringBoundLogger) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name, "level_name": record.levelname}
        if record.exc_info and record.exc_info[0] is not None:
            fields["exception_type"] = record.exc_info[0].__name__
        self._logger.warning("library", **fields)
