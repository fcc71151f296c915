"""Logging: JSON, or short lines on a terminal, without secrets.

`get_logger` returns a logger of structlog with its own processors. The processors do not depend on
``structlog.configure``, which belongs to the project: the monitor never calls it. An event becomes a record of the
standard library, so in a process of the project the project's handlers write it, at the project's level.

In a process of the monitor, `configure` sets the handlers. Records that libraries log have the same handler and format.
A task adds its fields with ``structlog.contextvars.bound_contextvars(check=..., task_id=...)``.
"""

from __future__ import annotations

import logging
import logging.config
import math
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor

from monitor.lib import log_lines
from monitor.lib.redaction import mask, scrub

Format = Literal["auto", "json", "console"]

# Loggers of libraries that add their own handlers, which would write every record a second time in another format.
_LIBRARIES_WITH_HANDLERS = ("celery", "celery.task", "django", "django.server", "_granian", "granian.access")
# Loggers that write two lines for each task and one line for each tick of beat at level info.
_VERBOSE = ("celery.app.trace", "celery.worker.strategy", "celery.beat")
# Format and level of a process that has called `configure`, for its child processes. The name does not begin with
# MONITOR_: these variables are settings, and an unknown one is an error.
_INHERITED = "CELERY_HEALTH_MONITOR_LOG"


class Event(dict[str, Any]):
    """Fields of an event of the monitor, as the message of a log record.

    A formatter of the project writes the event as text. A JSON formatter that accepts a dict as message (such as
    python-json-logger) writes its fields.
    """

    def __str__(self) -> str:
        return log_lines.text(self)


def get_logger(name: str) -> Any:
    """Return the logger ``name``. It has the methods of ``structlog.stdlib.BoundLogger``."""
    return structlog.wrap_logger(
        logging.getLogger(name),
        processors=PROCESSORS,
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=True,
    )


def configure(format: Format = "auto", level: str = "info") -> None:
    """Write all log records of this process to standard error. A later call replaces the settings.

    Call this function only in processes of the monitor. It replaces the handlers and levels of all existing loggers,
    which the settings of the watched project may have set.
    """
    logging.config.dictConfig(dict_config(format, level))
    logging.captureWarnings(True)
    os.environ[_INHERITED] = f"{format} {level}"


def configure_as_parent() -> None:
    """Configure logging as in the parent process, if the parent process has called `configure`."""
    format, _, level = os.environ.get(_INHERITED, "").partition(" ")
    if format in ("auto", "json", "console") and level:
        configure(format, level)  # type: ignore[arg-type]  # it is one of the formats


def dict_config(format: Format = "auto", level: str = "info") -> dict[str, Any]:
    """Return the settings for ``logging.config.dictConfig`` and granian's ``log_dictconfig``."""
    verbose = {name: {"level": "WARNING" if level == "info" else level.upper()} for name in _VERBOSE}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"monitor": {"()": "monitor.lib.logs.formatter", "format": format}},
        "filters": {
            "outages": {"()": "monitor.lib.logs.OutageFilter"},
            "first results": {"()": "monitor.lib.log_lines.FirstResultFilter"},
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "monitor",
                "filters": ["outages", *(["first results"] if _is_console(format) else [])],
                "level": level.upper(),
                "stream": "ext://sys.stderr",
            }
        },
        "loggers": _without_settings(logging.getLevelNamesMapping()[level.upper()]) | verbose,
        "root": {"handlers": ["stderr"], "level": level.upper()},
    }


def _without_settings(level: int) -> dict[str, Any]:
    """Return settings that undo what a project or a library has set for a logger: handlers, and levels below ``level``.

    A level above ``level`` is kept, except for the loggers of the monitor.
    """
    existing = logging.root.manager.loggerDict
    levels = {name: logger.level for name, logger in existing.items() if isinstance(logger, logging.Logger)}
    kept = {name: own for name, own in levels.items() if own > level and name.partition(".")[0] != "monitor"}
    return {
        name: {"handlers": [], "propagate": True, "level": kept.get(name, "NOTSET")}
        for name in (*_LIBRARIES_WITH_HANDLERS, *levels)
    }


def formatter(format: Format = "auto") -> logging.Formatter:
    """Return a formatter for any log record. ``auto`` means ``console`` if standard error is a terminal, else JSON."""
    if _is_console(format):
        return Formatter(log_lines.LineRenderer(colours=sys.stderr.isatty()))
    return Formatter(structlog.processors.JSONRenderer())


def _is_console(format: Format) -> bool:
    return format == "console" or (format == "auto" and sys.stderr.isatty())


class Formatter(logging.Formatter):
    """Formatter for records of the monitor, of structlog, and of the standard library."""

    def __init__(self, renderer: Processor) -> None:
        super().__init__()
        self._renderer = renderer

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one event."""
        if isinstance(record.msg, dict):
            event: EventDict = dict(record.msg)
        else:
            event = structlog.contextvars.merge_contextvars(None, "", {"event": record.getMessage()})
        if record.exc_info:
            event["exc_info"] = record.exc_info
            event = _format_exception(None, "", event)
        if record.stack_info:
            event["stack"] = record.stack_info
        # Set last: the context of structlog may have fields with these names.
        event["level"] = record.levelname.lower()
        event["logger"] = record.name
        event["timestamp"] = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        return str(self._renderer(None, "", redact_secrets(None, "", event)))


def redact_secrets(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Replace secrets in an event by ``***``: credentials in texts, and values whose key names a secret.

    This is a processor of structlog.
    """
    return {key: _redacted(value, key) for key, value in event.items()}


def _redacted(value: Any, name: str = "") -> Any:
    match mask(value, name, scrub):
        case None | bool() | int() | str() as unchanged:
            return unchanged
        case float() as number:
            return number if math.isfinite(number) else repr(number)  # JSON has no NaN and no infinity
        case Mapping() as table:
            return {str(key): _redacted(item, str(key)) for key, item in table.items()}
        case Sequence() as items:
            return [_redacted(item) for item in items]
        case other:
            return scrub(repr(other))


class OutageFilter(logging.Filter):
    """Filter that drops repeated records about the same outage of a broker or the store.

    A record about an outage passes if no record with the same server and reason was received in the last
    ``FORGOTTEN_SECONDS``. All other records pass.
    """

    FORGOTTEN_SECONDS = 30.0

    def __init__(self) -> None:
        super().__init__()
        self._last_received_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log the record."""
        if record.name == _CONSUMER and record.getMessage().startswith(_LOST):
            return False  # the monitor logs the same event, with its reason
        outage = _outage(record)
        if outage is None:
            return True
        now = time.monotonic()
        last, self._last_received_at[outage] = self._last_received_at.get(outage), now
        if len(self._last_received_at) > _OUTAGES_KEPT:
            self._last_received_at = {}
        return last is None or now - last > self.FORGOTTEN_SECONDS


def _outage(record: logging.LogRecord) -> str | None:
    """Return the server and the reason of the outage that a record reports, or None if it reports no outage.

    Numbers are replaced, so that records with different ports or ids have the same text.
    """
    if isinstance(record.msg, dict):  # from structlog
        server = str(record.msg.get("event")).rpartition(".")[2]  # such as store_unavailable
        reason = record.msg.get("reason")
        cause = record.msg.get("message") if reason in (None, "server_error") else reason
        outage = f"{server} {cause}" if server.endswith("_unavailable") else None
    elif record.levelno >= logging.WARNING and record.name.startswith(_RETRYING):
        outage = f"{record.name} {record.getMessage()}"
    else:
        outage = None
    return None if outage is None else re.sub(r"[0-9a-f]{8}[0-9a-f-]{9,}|\d+", "#", outage)


_RETRYING = ("celery.worker.consumer", "celery.worker.request", "celery.worker.strategy", "celery.beat", "kombu")
_CONSUMER, _LOST = "celery.worker.consumer.consumer", "consumer: Connection to broker lost"
_OUTAGES_KEPT = 1000


def _as_record(_logger: Any, _method: str, event: EventDict) -> tuple[tuple[Event], dict[str, Any]]:
    """Return the arguments for the method of ``logging.Logger``.

    The event contains the traceback already, without secrets. ``Logger.exception`` would add the traceback itself.
    """
    return (Event(event),), {"exc_info": False}


# The default formatter of exceptions does not print local variables, which may contain passwords.
_format_exception = structlog.processors.format_exc_info

PROCESSORS: list[Any] = [
    structlog.stdlib.filter_by_level,
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.StackInfoRenderer(),
    _format_exception,
    redact_secrets,
    _as_record,
]
"""Processors of all loggers of the monitor. `tests.support.logs` replaces the items of this list."""
