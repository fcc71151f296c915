"""Logging: JSON, or readable text on a terminal, without secrets.

The monitor logs with structlog. Records that libraries log with the standard library have the same handler and format.
A task adds its fields with ``structlog.contextvars.bound_contextvars(check=..., task_id=...)``.
"""

from __future__ import annotations

import logging
import logging.config
import math
import re
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor

from monitor.lib.redaction import mask, scrub

Format = Literal["auto", "json", "console"]

# Loggers of libraries that add their own handlers, which would write every record a second time in another format.
_LIBRARIES_WITH_HANDLERS = ("celery", "celery.task", "django", "django.server", "_granian", "granian.access")
# Loggers that write two lines for each task and one line for each tick of beat at level info.
_VERBOSE = ("celery.app.trace", "celery.worker.strategy", "celery.beat")


def configure(format: Format = "auto", level: str = "info") -> None:
    """Write the logs of structlog and of the standard library to standard error. A later call replaces the settings."""
    logging.config.dictConfig(dict_config(format, level))
    logging.captureWarnings(True)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_ENRICH, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # a cached logger would ignore later calls and `capture_logs`
    )


def dict_config(format: Format = "auto", level: str = "info") -> dict[str, Any]:
    """Return the settings for ``logging.config.dictConfig``, granian's ``log_dictconfig`` and Django's ``LOGGING``."""
    without_handlers: dict[str, Any] = {name: {"handlers": [], "propagate": True} for name in _LIBRARIES_WITH_HANDLERS}
    verbose = {name: {"level": "WARNING" if level == "info" else level.upper()} for name in _VERBOSE}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"monitor": {"()": "monitor.lib.logs.formatter", "format": format}},
        "filters": {"outages": {"()": "monitor.lib.logs.OutageFilter"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "monitor",
                "filters": ["outages"],
                "stream": "ext://sys.stderr",
            }
        },
        "loggers": without_handlers | verbose,
        "root": {"handlers": ["stderr"], "level": level.upper()},
    }


def formatter(format: Format = "auto") -> logging.Formatter:
    """Return a formatter for any log record. ``auto`` means ``console`` if standard error is a terminal, else JSON."""
    colors = sys.stderr.isatty()
    renderer: Processor
    if format == "console" or (format == "auto" and colors):
        # The default formatter of exceptions would print local variables, which may contain passwords.
        renderer = structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback, pad_event_to=24
        )
    else:
        renderer = structlog.processors.JSONRenderer()
    return ProcessorFormatter(
        processors=[ProcessorFormatter.remove_processors_meta, redact_secrets, renderer],
        foreign_pre_chain=_ENRICH,
    )


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

_ENRICH: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
]
