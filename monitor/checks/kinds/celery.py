"""Check of a Celery broker, which counts the waiting tasks in queues."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import redis
from kombu.connection import Connection
from kombu.exceptions import KombuError
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
from monitor.lib.kombu_redis import is_redis, queue_keys, raw_client
from monitor.lib.redaction import scrub
from monitor.model.checks import Outcome


@register("celery")
@dataclass(frozen=True, kw_only=True)
class Celery(Kind):
    """Connect to the broker and count the tasks that wait in its queues.

    - On Redis (TCP, TLS, unix socket, Sentinel), the number of waiting tasks of a queue is the sum over all priorities.
      Tasks that were delivered and not acknowledged are counted separately.
    - On other brokers (AMQP), the check declares the queues passively. The number of unacknowledged tasks is not known.
    - A queue that does not exist has 0 tasks.
    """

    broker_url: Annotated[
        SecretStr,
        Field(
            description="URL of the broker, as in Celery's broker_url, or any URL of a Redis that `redis_url` accepts"
        ),
    ] = from_config("broker_url", repr=False)
    transport_options: Annotated[
        Mapping[str, Any],
        Field(
            description="options of the transport, as in Celery's broker_transport_options. Timeouts that are longer "
            "than the check's timeout are shortened"
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
        "pending_tasks": "number of waiting tasks in all configured queues together; the thresholds apply to it",
        "unacked_tasks": "number of tasks that were delivered to workers and not acknowledged (running, prefetched, or "
        "waiting for their ETA), in all queues of the broker; Redis only",
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
        """Connect like Celery, but with timeouts and without retries, and count the waiting tasks."""
        with self._connection(io_timeout(timeout_seconds)) as connection:
            # Connecting by `default_channel` respects max_retries. Other methods of kombu try again after 2 s.
            channel = connection.default_channel
            if is_redis(connection):
                return Observation(_count_on_redis(channel, self.queues))
            return Observation(_totals({name: _count_by_declaring(connection, name) for name in self.queues}))

    def judge(self, observation: Observation) -> Outcome:
        """Return warning or error if more tasks wait than the threshold."""
        status, reason = level(observation.data["pending_tasks"], self.warning_pending, self.error_pending)
        return Outcome(status, observation.data, reason)

    @contextmanager
    def _connection(self, timeout_seconds: float) -> Iterator[Any]:
        """Yield a kombu Connection and close it afterwards. Errors of the connection are raised as CheckFailed."""
        expected: tuple[type[Exception], ...] = (KombuError, redis.RedisError, OSError)
        try:
            connection: Any = SingleAttemptConnection(
                celery_broker_url(self.broker_url).get_secret_value(), ssl=self.use_ssl
            )  # type: ignore[no-untyped-call]
            expected += (*connection.connection_errors, *connection.channel_errors)
            driver, host_count = connection.get_transport_cls().driver_type, len(connection.alt)
            configured = {**celery_transport_options(self.broker_url), **self.transport_options}
            options = with_time_limits(configured, driver, host_count, timeout_seconds)
            attempt_count = max(1, host_count) * address_count(connection.hostname, connection.port)
            connection.connect_timeout = share(timeout_seconds, attempt_count)
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
    options: Mapping[str, Any], driver: str, host_count: int, timeout_seconds: float
) -> dict[str, Any]:
    """Return the transport options with time limits. Without them, kombu waits without a limit. Pure.

    If the URL lists several hosts (``host_count``), each host gets an equal share of ``timeout_seconds``. With n
    Sentinels, each Sentinel gets 1 / (n + 1) of it, so that one share remains for the master. A shorter limit in
    ``options`` is kept.
    """
    uses_sentinel = bool(options.get("master_name"))
    host_seconds = timeout_seconds if uses_sentinel else share(timeout_seconds, host_count)
    # kombu tries the next host of the list at each retry. With Sentinel, one attempt tries all Sentinels of the list.
    retries = 0 if uses_sentinel else max(0, host_count - 1)
    limits: dict[str, Any] = {"max_retries": retries, "interval_start": 0, "interval_step": 0, "interval_max": 0}
    limits["connect_retries_timeout"] = timeout_seconds  # kombu's default is the limit of one attempt
    if driver == "redis":
        limits |= _socket_limits(options, host_seconds)
        if uses_sentinel:
            sentinel_options = options.get("sentinel_kwargs") or {}
            socket_limits = _socket_limits(sentinel_options, share(timeout_seconds, max(1, host_count) + 1))
            limits["sentinel_kwargs"] = {**sentinel_options, **socket_limits, "retry": Retry(NoBackoff(), 0)}
    elif driver == "amqp":
        limits |= {"read_timeout": math.ceil(host_seconds), "write_timeout": math.ceil(host_seconds)}
    return {**options, **limits}


def _socket_limits(options: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    limits = {name: options.get(name) for name in ("socket_timeout", "socket_connect_timeout")}
    for name in limits:
        limit_timeout(limits, name, seconds)
    return limits


class SingleAttemptConnection(Connection):
    """Kombu connection that turns off redis-py's retries. The ten retries would take most of a minute."""

    def create_transport(self) -> Any:
        transport: Any = super().create_transport()  # type: ignore[no-untyped-call]
        if transport.driver_type == "redis":
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
    """Return the numbers of tasks, read in one round trip."""
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


def _count_by_declaring(connection: Any, queue: str) -> int:
    """Return the number of tasks in a queue; 0 if the queue does not exist.

    Opens a channel for each queue, because the broker closes the channel if the queue does not exist.
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
