"""Kinds of broker errors, and the reason and message of an error for the log."""

from __future__ import annotations

from collections.abc import Iterator

import amqp.exceptions
import redis
from celery.beat import SchedulingError
from kombu.exceptions import KombuError, OperationalError

from monitor.lib.redaction import scrub
from monitor.lib.redis_pool import server_reason

BROKER_ERRORS: tuple[type[Exception], ...] = (redis.RedisError, amqp.exceptions.AMQPError, KombuError, OSError)
"""Exceptions that brokers' error replies raise. No transport lists all of these as its connection or channel errors."""

_WRAPPERS = (SchedulingError, OperationalError)
_REASONS = {403: "permission", 404: "no_queue", 405: "locked", 406: "precondition_failed", 530: "permission"}
_PIPELINE = "of pipeline caused error: "


def log_fields(error: BaseException) -> dict[str, str | None]:
    """Return the fields for the log: ``reason`` (a code; None for an unknown error) and ``message`` (without secrets).

    The message is the server's reply. In a pipeline, redis-py adds the position and name of the command, which are
    removed, so that the same cause always has the same text.
    """
    original = _unwrap(error)
    text = str(original)
    if text.startswith("Command # "):
        text = text.partition(_PIPELINE)[2] or text
    return {"reason": _reason(original), "message": scrub(f"{type(original).__name__}: {text}")}


def is_exhausted(error: BaseException) -> bool:
    """Return whether the error means that this process has no memory or no threads left.

    hiredis reports missing memory as a response that it cannot parse (``InvalidResponse``).
    """
    return any(
        isinstance(cause, MemoryError)
        or (isinstance(cause, RuntimeError) and "start new thread" in str(cause))
        or (isinstance(cause, redis.InvalidResponse) and "Out of memory" in str(cause))
        for cause in _causes(error)
    )


def is_missing_queue(error: BaseException) -> bool:
    """Return whether the broker or the transport reported that the queue does not exist."""
    return "NOT_FOUND" in str(error).upper().replace(" ", "_")


def _unwrap(error: BaseException) -> BaseException:
    """Return the original error inside the wrappers of Celery and kombu."""
    return next((cause for cause in _causes(error) if not isinstance(cause, _WRAPPERS)), error)


def _reason(error: BaseException) -> str | None:
    if isinstance(error, amqp.exceptions.AccessRefused) and "Login" in str(error):
        return "authentication"
    if isinstance(error, amqp.exceptions.ConsumerCancelled):
        return "cancelled"
    if isinstance(error, amqp.exceptions.AMQPError):
        return _REASONS.get(error.reply_code or 0)
    return server_reason(error)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    visited: set[int] = set()
    while error is not None and id(error) not in visited:
        visited.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
