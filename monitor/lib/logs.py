"""Logs: one event per outcome, as JSON or, on a terminal, for people. Whatever logs goes through here, without secrets.

Bind what a run of a task is about with ``structlog.contextvars.bound_contextvars(check=..., task_id=...)``.
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

# They bring handlers of their own, which would write every line a second time and in their own shape.
_FOREIGN = ("celery", "celery.task", "django", "django.server", "_granian", "granian.access")
# Two lines for each task and one for each tick of beat, at level info: the outcomes say it already.
_CHATTY = ("celery.app.trace", "celery.worker.strategy", "celery.beat")


def configure(format: Format = "auto", level: str = "info") -> None:
    """Send structlog's and the standard library's logs to standard error. Call it again to change its mind."""
    logging.config.dictConfig(dict_config(format, level))
    logging.captureWarnings(True)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_ENRICH, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # a cached logger would miss the next call, and `capture_logs`
    )


def dict_config(format: Format = "auto", level: str = "info") -> dict[str, Any]:
    """What :func:`configure` gives to ``logging.config``; for granian's ``log_dictconfig`` and Django's ``LOGGING``."""
    foreign: dict[str, Any] = {name: {"handlers": [], "propagate": True} for name in _FOREIGN}
    chatty = {name: {"level": "WARNING" if level == "info" else level.upper()} for name in _CHATTY}
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
        "loggers": foreign | chatty,
        "root": {"handlers": ["stderr"], "level": level.upper()},
    }


def formatter(format: Format = "auto") -> logging.Formatter:
    """Renders any log record. ``auto`` is for people when standard error is a terminal, else JSON."""
    colors = sys.stderr.isatty()
    renderer: Processor
    if format == "console" or (format == "auto" and colors):
        # The default formatter of exceptions shows local variables, passwords among them.
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
    """A processor: credentials in texts, and values whose name says that they are secret, become ``***``."""
    return {key: _shown(value, key) for key, value in event.items()}


def _shown(value: Any, name: str = "") -> Any:
    match mask(value, name, scrub):
        case None | bool() | int() | str() as plain:
            return plain
        case float() as number:
            return number if math.isfinite(number) else repr(number)  # JSON has no word for it
        case Mapping() as table:
            return {str(key): _shown(item, str(key)) for key, item in table.items()}
        case Sequence() as items:
            return [_shown(item) for item in items]
        case other:
            return scrub(repr(other))


class OutageFilter(logging.Filter):
    """Passes the reason why a broker or the store is unavailable once, not at each attempt.

    The reason is logged again after it has not occurred for ``FORGOTTEN_SECONDS``. All other records pass.
    """

    FORGOTTEN_SECONDS = 30.0

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log the record."""
        if record.name == _CONSUMER and record.getMessage().startswith(_LOST):
            return False  # our own line says why
        subject = _outage(record)
        if subject is None:
            return True
        now = time.monotonic()
        last, self._last[subject] = self._last.get(subject), now
        if len(self._last) > _OUTAGES_KEPT:
            self._last = {}
        return last is None or now - last > self.FORGOTTEN_SECONDS


def _outage(record: logging.LogRecord) -> str | None:
    """Return what a record says about an outage, without the numbers in it; None when it is about something else."""
    if isinstance(record.msg, dict):  # from structlog
        server = str(record.msg.get("event")).rpartition(".")[2]  # of which every task logs the same
        reason = record.msg.get("reason")
        known = record.msg.get("message") if reason in (None, "server_error") else reason
        subject = f"{server} {known}" if server.endswith("_unavailable") else None
    elif record.levelno >= logging.WARNING and record.name.startswith(_RETRYING):
        subject = f"{record.name} {record.getMessage()}"
    else:
        subject = None
    return None if subject is None else re.sub(r"[0-9a-f]{8}[0-9a-f-]{9,}|\d+", "#", subject)


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
