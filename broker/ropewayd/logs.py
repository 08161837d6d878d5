"""What the daemon says on standard error: events with fields, readable on a terminal and JSON elsewhere.

Rule 1  No message body, key, secret or receipt handle, ever. A last filter drops fields of such names and
        shows bytes as their number, should anybody forget.
Rule 2  One line an event, so that a log can be counted and searched.
Rule 3  What a library says through the standard logging module comes out the same way, from warnings on.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, Literal, TextIO

import msgspec

# structlog imports rich where it is installed, for tracebacks that this daemon never prints. Without it the
# whole start is a sixth shorter.
_rich = sys.modules.get("rich")
sys.modules["rich"] = None  # type: ignore[assignment]
import structlog  # noqa: E402 - after the line above, which is what it is for

if _rich is None:
    del sys.modules["rich"]
else:
    sys.modules["rich"] = _rich

from structlog.typing import EventDict, FilteringBoundLogger  # noqa: E402 - as above

UNSPEAKABLE: Final = frozenset(
    {"body", "entries", "handle", "handles", "key", "keys", "nonce", "password", "proof", "secret", "secrets"}
)
"""Names of fields that may hold what nobody should read in a log."""

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}

log: FilteringBoundLogger = structlog.get_logger()
"""The daemon's log. What it does is decided by `configure`, at any time."""


def configure(
    level: Literal["debug", "info", "warning", "error"] = "info",
    format: Literal["auto", "console", "json"] = "auto",  # noqa: A002 - the setting's name
    stream: TextIO | None = None,
) -> None:
    """Decide what is shown, how, and where (standard error unless told otherwise)."""
    stream = sys.stderr if stream is None else stream
    terminal = stream.isatty()
    if format == "console" or (format == "auto" and terminal):
        stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
        render: Any = structlog.dev.ConsoleRenderer(
            colors=terminal, pad_event_to=24, exception_formatter=structlog.dev.plain_traceback
        )
    else:
        stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
        render = _render_json
    structlog.configure(
        processors=[structlog.processors.add_log_level, stamp, without_secrets, render],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Libraries(max(logging.WARNING, LEVELS[level]))]


def without_secrets(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """The last filter: see Rule 1."""
    for name, value in event.items():
        if name in UNSPEAKABLE:
            event[name] = "(not shown)"
        elif isinstance(value, bytes | bytearray | memoryview):
            event[name] = f"({len(value)} bytes)"
    return event


def _render_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    first = {name: event.pop(name) for name in ("timestamp", "level", "event")}
    return msgspec.json.encode({**first, **event}, enc_hook=str).decode()


class _Libraries(logging.Handler):
    """Brings the standard logging module's records here, in one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        first_line = record.getMessage().partition("\n")[0]
        fields = {"error": record.exc_info[0].__name__} if record.exc_info and record.exc_info[0] else {}
        speak = log.error if record.levelno >= logging.ERROR else log.warning
        speak(first_line, logger=record.name, **fields)
