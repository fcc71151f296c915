"""Check of a Celery broker and of the number of tasks that wait in its queues."""

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
from monitor.lib.attempts import address_count, limit_timeout, share
from monitor.lib.kombu_redis import queue_keys, raw_client
from monitor.lib.redaction import scrub
from monitor.model.checks import Outcome


@register("celery")
@dataclass(frozen=True, kw_only=True)
class Celery(Kind):
    """Connect to the broker and count the tasks that wait in its queues.

    On Redis (TCP, TLS, unix socket, Sentinel) the sub-queues of all priorities are added up, and tasks that were
    delivered and not acknowledged are counted separately. On other brokers (AMQP) the queues are declared passively,
    and the number of unacknowledged tasks is not known. A queue that does not exist has 0 tasks.
    """

    broker_url: Annotated[
        SecretStr,
        Field(description="URL of the broker, as in Celery's broker_url, or of a Redis in any form of `redis_url`"),
    ] = from_config("broker_url", repr=False)
    transport_options: Annotated[
        Mapping[str, Any],
        Field(
            description="options of the transport, as in Celery's broker_transport_options; timeouts longer than the "
            "check's are shortened"
        ),
    ] = from_config("broker_transport_options", default_factory=dict, repr=False)
    use_ssl: Annotated[
        bool | Mapping[str, Any], Field(description="TLS: true, or the options of Celery's broker_use_ssl")
    ] = False
    queues: Annotated[tuple[str, ...], Field(min_length=1, description="names of the queues to count")] = from_config(
        "broker_queues", default=("celery",)
    )
    warning_pending: WarningCount = None
    error_pending: ErrorCount = None

    reports: ClassVar[Mapping[str, str]] = {
        "pending_tasks": "total number of waiting tasks in these queues; the thresholds apply to it",
        "unacked_tasks": "tasks delivered to workers and not acknowledged (running, prefetched, with an ETA), in all "
        "queues of the broker; Redis only",
        "queues": "number of waiting tasks of each queue",
    }
    reasons: ClassVar[Mapping[str, str]] = {
        **NETWORK_REASONS,
        **SERVER_REASONS,
        **REASONS,
        "not_configured": "the broker's URL or options are invalid, or the library of its transport is missing",
    }
    example: ClassVar[Mapping[str, Any]] = {
        "broker_url": "redis://127.0.0.1:6379/0",
        "queues": ["celery", "mail"],
        "warning_pending": 1000,
        "error_pending": 10000,
    }
    series: ClassVar[tuple[str, ...]] = ("pending_tasks", "unacked_tasks")

    def observe(self, timeout_seconds: float) -> Observation:
        """Connect like Celery, but with timeouts and without retries, and count the tasks."""
        with self._connection(io_timeout(timeout_seconds)) as connection:
            # Only `default_channel` respects max_retries; other ways of connecting try again after 2 s.
            channel = connection.default_channel
            if isinstance(connection.transport, RedisTransport):
                return Observation(_count_on_redis(channel, self.queues))
            return Observation(_totals({name: _declared_count(connection, name) for name in self.queues}))

    def judge(self, observation: Observation) -> Outcome:
        """Return warning or error if more tasks are pending than the threshold."""
        status, reason = level(observation.data["pending_tasks"], self.warning_pending, self.error_pending)
        return Outcome(status, observation.data, reason)

    @contextmanager
    def _connection(self, timeout_seconds: float) -> Iterator[Any]:
        """Yield a kombu Connection and close it afterwards. Its errors are raised as CheckFailed."""
        expected: tuple[type[Exception], ...] = (KombuError, redis.RedisError, OSError)
        try:
            connection: Any = SingleAttemptConnection(
                celery_broker_url(self.broker_url).get_secret_value(), ssl=self.use_ssl
            )  # type: ignore[no-untyped-call]
            expected += (*connection.connection_errors, *connection.channel_errors)
            driver, alternatives = connection.get_transport_cls().driver_type, len(connection.alt)
            chosen = {**celery_transport_options(self.broker_url), **self.transport_options}
            options = with_time_limits(chosen, driver, alternatives, timeout_seconds)
            shares = max(1, alternatives) * address_count(connection.hostname, connection.port)
            connection.connect_timeout = share(timeout_seconds, shares)
            if driver == "redis":
                limit_timeout(options, "socket_connect_timeout", connection.connect_timeout)
            connection.transport_options = options
            with connection:
                yield connection
        except expected as error:
            raise _failure(error) from error
        except (ImportError, ValueError, LookupError) as error:
            # Unknown transport, missing library, no master_name for Sentinel, a database that is not a number.
            raise CheckFailed("not_configured", scrub(str(error))) from error


def with_time_limits(
    options: Mapping[str, Any], driver: str, alternatives: int, timeout_seconds: float
) -> dict[str, Any]:
    """Return transport options with time limits added: by default a broker connection has none. Pure.

    The hosts of a list share the time. The Sentinels share it with the master. Shorter limits in ``options`` are kept.
    """
    sentinel = bool(options.get("master_name"))
    each = timeout_seconds if sentinel else share(timeout_seconds, alternatives)
    # Each host of a list is tried once. With Sentinel, each attempt already tries all Sentinels of the list.
    retries = 0 if sentinel else max(0, alternatives - 1)
    limits: dict[str, Any] = {"max_retries": retries, "interval_start": 0, "interval_step": 0, "interval_max": 0}
    limits["connect_retries_timeout"] = timeout_seconds  # by default, kombu uses the limit of one attempt
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
    limits = {name: options.get(name) for name in ("socket_timeout", "socket_connect_timeout")}
    for name in limits:
        limit_timeout(limits, name, seconds)
    return limits


class SingleAttemptConnection(Connection):
    """Kombu connection without retries of redis-py, whose ten retries would take most of a minute."""

    def create_transport(self) -> Any:
        transport: Any = super().create_transport()  # type: ignore[no-untyped-call]
        if isinstance(transport, RedisTransport):
            channel_class: Any = type("Channel", (_SingleAttemptChannel, transport.Channel), {})
            transport.Channel = channel_class
        return transport


class _SingleAttemptChannel:
    """Mixin for kombu's Redis channels that turns off redis-py's retries."""

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        parameters: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[misc]
        parameters.pop("retry_on_timeout", None)
        parameters["retry"] = Retry(NoBackoff(), 0)
        return parameters


def _count_on_redis(channel: Any, queues: tuple[str, ...]) -> dict[str, Any]:
    """Return the counts of all queues, read in one round trip."""
    commands = raw_client(channel).pipeline(transaction=False)
    keys = {queue: queue_keys(channel, queue) for queue in queues}
    for queue in queues:
        for key in keys[queue]:
            commands.llen(key)
    commands.hlen(channel.global_keyprefix + channel.unacked_key)
    *lengths, unacked = commands.execute()
    remaining = iter(lengths)
    counts = {queue: sum(next(remaining) for _ in keys[queue]) for queue in queues}
    return {**_totals(counts), "unacked_tasks": unacked}


def _declared_count(connection: Any, queue: str) -> int:
    """Return the length of a queue; 0 if it does not exist.

    Each queue needs a channel of its own, because the broker closes the channel if the queue does not exist.
    """
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
