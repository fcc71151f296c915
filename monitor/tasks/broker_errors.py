"""What brokers answer instead of a result: which errors these are, and what the log says of them."""

from __future__ import annotations

from collections.abc import Iterator

import amqp.exceptions
import redis
from celery.beat import SchedulingError
from kombu.exceptions import KombuError, OperationalError

from monitor.lib.redaction import scrub
from monitor.lib.redis_pool import server_reason

ANSWERS: tuple[type[Exception], ...] = (redis.RedisError, amqp.exceptions.AMQPError, KombuError, OSError)
"""What a broker's refusals are raised as, whatever the transport says that it raises."""

_WRAPPERS = (SchedulingError, OperationalError)
_AMQP = {403: "permission", 404: "no_queue", 405: "locked", 406: "precondition_failed", 530: "permission"}
_PIPELINE = "of pipeline caused error: "


def describe(error: BaseException) -> dict[str, str | None]:
    """Return what to log: a code as ``reason``, None for an unknown error, and as ``message`` the text without secrets.

    The text is that of the server's answer, without the name of the command: one cause has one text.
    """
    answer = _answer(error)
    text = str(answer)
    if text.startswith("Command # "):
        text = text.partition(_PIPELINE)[2] or text
    return {"reason": _code(answer), "message": scrub(f"{type(answer).__name__}: {text}")}


def is_exhausted(error: BaseException) -> bool:
    """Return whether a process has no memory or no threads left: it ends, with exit code 1.

    hiredis reports the former as a response that it cannot parse.
    """
    return any(
        isinstance(cause, MemoryError)
        or (isinstance(cause, RuntimeError) and "start new thread" in str(cause))
        or (isinstance(cause, redis.InvalidResponse) and "Out of memory" in str(cause))
        for cause in _causes(error)
    )


def is_missing_queue(error: BaseException) -> bool:
    """Return whether a broker, or the transport on its behalf, answered that there is no such queue."""
    return "NOT_FOUND" in str(error).upper().replace(" ", "_")


def _answer(error: BaseException) -> BaseException:
    """Return the error inside those that Celery and kombu wrap around it."""
    return next((cause for cause in _causes(error) if not isinstance(cause, _WRAPPERS)), error)


def _code(answer: BaseException) -> str | None:
    if isinstance(answer, amqp.exceptions.AccessRefused) and "Login" in str(answer):
        return "authentication"
    if isinstance(answer, amqp.exceptions.ConsumerCancelled):
        return "cancelled"
    if isinstance(answer, amqp.exceptions.AMQPError):
        return _AMQP.get(answer.reply_code or 0)
    return server_reason(answer)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    known: set[int] = set()
    while error is not None and id(error) not in known:
        known.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
