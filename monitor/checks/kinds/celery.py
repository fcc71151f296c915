"""A Celery broker that answers, and the tasks that wait in its queues."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import redis
from kombu.connection import Connection
from kombu.exceptions import KombuError
from kombu.transport.redis import Transport as RedisTransport
from pydantic import Field, SecretStr
from redis.backoff import NoBackoff
from redis.retry import Retry

from monitor.checks.base import CheckFailed, Kind, Observation, from_config
from monitor.checks.failures import NETWORK_REASONS, io_timeout
from monitor.checks.levels import REASONS, ErrorCount, WarningCount, level
from monitor.checks.redis_failures import SERVER_REASONS, failure
from monitor.checks.registry import register
from monitor.config.urls import celery_broker_url, celery_transport_options
from monitor.lib.attempts import addresses, narrow, share
from monitor.lib.kombu_redis import queue_keys, raw_client
from monitor.lib.redaction import scrub
from monitor.model.checks import Outcome


@register("celery")
@dataclass(frozen=True, kw_only=True)
class Celery(Kind):
    """The broker answers, and not too many tasks wait.

    On Redis (TCP, TLS, unix socket, Sentinel) priority sub-queues are summed, and tasks that were delivered and not
    acknowledged are counted apart. On other brokers (AMQP) queues are declared passively; unacked tasks are not known.
    """

    broker_url: Annotated[
        SecretStr,
        Field(description="the broker's address, as Celery takes it, or a Redis in any form of `redis_url`"),
    ] = from_config("broker_url", repr=False)
    transport_options: Annotated[Mapping[str, Any], Field(description="Celery's broker_transport_options")] = (
        from_config("broker_transport_options", default_factory=dict, repr=False)
    )
    use_ssl: Annotated[bool | Mapping[str, Any], Field(description="Celery's broker_use_ssl")] = False
    queues: Annotated[tuple[str, ...], Field(min_length=1, description="the queues to count")] = from_config(
        "broker_queues", default=("celery",)
    )
    warning_pending: WarningCount = None
    error_pending: ErrorCount = None

    reports: ClassVar[Mapping[str, str]] = {
        "pending_tasks": "tasks that wait, in all these queues together",
        "unacked_tasks": "tasks that workers hold, of the whole broker: running, prefetched, with an ETA (Redis only)",
        "queues": "tasks that wait, by queue",
    }
    reasons: ClassVar[Mapping[str, str]] = {
        **NETWORK_REASONS,
        **SERVER_REASONS,
        **REASONS,
        "not_configured": "the broker's address or its options cannot be used",
    }
    example: ClassVar[Mapping[str, Any]] = {
        "broker_url": "redis://127.0.0.1:6379/0",
        "queues": ["celery", "mail"],
        "warning_pending": 1000,
        "error_pending": 10000,
    }
    series: ClassVar[tuple[str, ...]] = ("pending_tasks", "unacked_tasks")

    def observe(self, timeout_seconds: float) -> Observation:
        """Connect as Celery would, but with timeouts and without retries, and count."""
        with self._connection(io_timeout(timeout_seconds)) as connection:
            # Only this way of connecting heeds the number of retries; any other tries again after 2 s.
            channel = connection.default_channel
            if isinstance(connection.transport, RedisTransport):
                return Observation(_count_on_redis(channel, self.queues))
            return Observation(_totals({name: _declared_count(connection, name) for name in self.queues}))

    def judge(self, observation: Observation) -> Outcome:
        """More pending tasks than a threshold is a warning or an error."""
        status, reason = level(observation.data["pending_tasks"], self.warning_pending, self.error_pending)
        return Outcome(status, observation.data, reason)

    @contextmanager
    def _connection(self, timeout_seconds: float) -> Iterator[Any]:
        """A kombu Connection that is closed afterwards, whose failures are those of the check."""
        expected: tuple[type[Exception], ...] = (KombuError, redis.RedisError, OSError)
        try:
            connection: Any = SingleAttemptConnection(
                celery_broker_url(self.broker_url).get_secret_value(), ssl=self.use_ssl
            )  # type: ignore[no-untyped-call]
            expected += (*connection.connection_errors, *connection.channel_errors)
            driver, alternatives = connection.get_transport_cls().driver_type, len(connection.alt)
            chosen = {**celery_transport_options(self.broker_url), **self.transport_options}
            options = with_time_limits(chosen, driver, alternatives, timeout_seconds)
            shares = max(1, alternatives) * addresses(connection.hostname, connection.port)
            connection.connect_timeout = share(timeout_seconds, shares)
            if driver == "redis":
                narrow(options, "socket_connect_timeout", connection.connect_timeout)
            connection.transport_options = options
            with connection:
                yield connection
        except expected as error:
            raise _failure(error) from error
        except (ImportError, ValueError, LookupError) as error:
            # No such transport, its library is missing, no master_name for Sentinel, a database that is no number.
            raise CheckFailed("not_configured", scrub(str(error))) from error


def with_time_limits(
    options: Mapping[str, Any], driver: str, alternatives: int, timeout_seconds: float
) -> dict[str, Any]:
    """Transport options with time limits forced on: by default a broker connection has none at all. Pure.

    The hosts of a list share the time, and so do Sentinels with the master that they name. Narrower limits stay.
    """
    sentinel = bool(options.get("master_name"))
    each = timeout_seconds if sentinel else share(timeout_seconds, alternatives)
    # One round over the hosts of a list; the Sentinels of a list are all known to each attempt.
    retries = 0 if sentinel else max(0, alternatives - 1)
    limits: dict[str, Any] = {"max_retries": retries, "interval_start": 0, "interval_step": 0, "interval_max": 0}
    limits["connect_retries_timeout"] = timeout_seconds  # else the limit of one attempt
    if driver == "redis":
        limits |= _sockets(options, each)
        if sentinel:
            given = options.get("sentinel_kwargs") or {}
            sockets = _sockets(given, share(timeout_seconds, max(1, alternatives) + 1))
            limits["sentinel_kwargs"] = {**given, **sockets, "retry": Retry(NoBackoff(), 0)}
    elif driver == "amqp":
        limits |= {"read_timeout": math.ceil(each), "write_timeout": math.ceil(each)}
    return {**options, **limits}


def _sockets(options: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    found = {name: options.get(name) for name in ("socket_timeout", "socket_connect_timeout")}
    for name in found:
        narrow(found, name, seconds)
    return found


class SingleAttemptConnection(Connection):
    """Kombu's connection, whose Redis connections try once: redis-py's ten retries would take most of a minute."""

    def create_transport(self) -> Any:
        transport: Any = super().create_transport()  # type: ignore[no-untyped-call]
        if isinstance(transport, RedisTransport):
            once: Any = type("Channel", (_SingleAttemptChannel, transport.Channel), {})
            transport.Channel = once
        return transport


class _SingleAttemptChannel:
    """A mixin for kombu's Redis channels."""

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        parameters: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[misc]
        parameters.pop("retry_on_timeout", None)
        parameters["retry"] = Retry(NoBackoff(), 0)
        return parameters


def _count_on_redis(channel: Any, queues: tuple[str, ...]) -> dict[str, Any]:
    """All lengths in one round trip."""
    commands = raw_client(channel).pipeline(transaction=False)
    keys = {queue: queue_keys(channel, queue) for queue in queues}
    for queue in queues:
        for key in keys[queue]:
            commands.llen(key)
    commands.hlen(channel.global_keyprefix + channel.unacked_key)
    *lengths, unacked = commands.execute()
    left = iter(lengths)
    counts = {queue: sum(next(left) for _ in keys[queue]) for queue in queues}
    return {**_totals(counts), "unacked_tasks": unacked}


def _declared_count(connection: Any, queue: str) -> int:
    """The length of a queue; 0 for one that does not exist. A channel of its own: a miss closes it."""
    channel = connection.channel()
    try:
        return int(channel.queue_declare(queue=queue, passive=True).message_count)
    except connection.channel_errors as error:
        if "NOT_FOUND" not in str(error).upper().replace(" ", "_"):
            raise
        return 0
    finally:
        channel.close()


def _failure(error: Exception) -> CheckFailed:
    if getattr(error, "reply_code", None) == 403 or "ACCESS_REFUSED" in str(error):  # AMQP
        return CheckFailed("authentication", scrub(str(error)))
    return failure(error)


def _totals(queues: dict[str, int]) -> dict[str, Any]:
    return {"pending_tasks": sum(queues.values()), "queues": queues}
