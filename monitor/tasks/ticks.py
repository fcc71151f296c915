"""Sender of the monitor's periodic tasks in a project's beat. It sends after each tick of the project's scheduler.

The monitor adds no entries to the project's schedule. Some schedulers would store these entries, keep them forever, or
round the interval of half a second to 0 (django-celery-beat). A beat that does not tick, such as a redbeat without its
lock, sends no tasks of the monitor.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

from celery import Celery

from monitor.checks.kinds.celery import SingleAttemptConnection, with_time_limits
from monitor.tasks.beat import MAX_WAITING
from monitor.tasks.broker_errors import log_fields
from monitor.tasks.publish import Publisher

LONGEST_DELAY_SECONDS = 0.5
"""Upper limit of the time between two ticks of the scheduler."""

TIMEOUT_SECONDS = 1.0
PAUSE_SECONDS = 3.0
"""Time without attempts after a failure of the broker, because each attempt delays the project's own entries."""

logger = logging.getLogger("monitor.beat")  # not structlog: these lines are in the log of the project's beat

_wrapped: WeakSet[Any] = WeakSet()


def send_at_each_tick(scheduler: Any, app: Celery, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Replace ``scheduler.tick`` by a method that also sends the due ``entries``. A second call does nothing."""
    if scheduler in _wrapped:
        return
    _wrapped.add(scheduler)
    tick, sender = scheduler.tick, TickSender(entries, TimeLimitedPublisher(app))

    @functools.wraps(tick)
    def tick_and_send(*args: Any, **kwargs: Any) -> Any:
        seconds_to_next = tick(*args, **kwargs)  # raises if the beat must end, for example because it lost its lock
        seconds_to_due = sender.send_due()
        return min(seconds_to_next, seconds_to_due) if seconds_to_next else seconds_to_next

    scheduler.tick = tick_and_send


class TickSender:
    """Sender of the entries whose interval has passed. Only a call of :meth:`send_due` sends."""

    def __init__(
        self,
        entries: Mapping[str, Mapping[str, Any]],
        publisher: Publisher,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._entries = dict(entries)
        self._publisher = publisher
        self._clock = clock
        self._due_at = dict.fromkeys(self._entries, 0.0)
        self._failed = False

    def send_due(self) -> float:
        """Send each due entry once, even if several intervals have passed since the last call. Never raises.

        Return the seconds until the next call, at most ``LONGEST_DELAY_SECONDS``. An entry is left out while
        ``MAX_WAITING`` messages wait in its queue.
        """
        now = self._clock()
        for name in [name for name, due_at in self._due_at.items() if due_at <= now]:
            interval = self._entries[name]["schedule"]
            next_due_at = self._due_at[name] + interval
            self._due_at[name] = next_due_at if next_due_at > now else now + interval
            try:
                self._send(self._entries[name])
            except Exception as error:  # noqa: BLE001 - any transport; the project's beat must continue
                self._pause(error)
                break
            self._failed = False
        until_next = min(self._due_at.values(), default=now) - self._clock()
        return min(LONGEST_DELAY_SECONDS, max(0.01, until_next))

    def _send(self, entry: Mapping[str, Any]) -> None:
        queue = entry["options"]["queue"]
        if self._publisher.waiting(queue) < MAX_WAITING:
            self._publisher.send_all(entry["task"], [()], queue=queue)

    def _pause(self, error: Exception) -> None:
        if not self._failed:
            fields = log_fields(error)
            cause = fields["message"] or fields["reason"]
            logger.warning("the health monitor cannot send its periodic tasks to the broker: %s", cause)
        self._failed = True
        resume_at = self._clock() + PAUSE_SECONDS
        self._due_at = {name: max(resume_at, due_at) for name, due_at in self._due_at.items()}


class TimeLimitedPublisher(Publisher):
    """Publisher with its own connection, which has time limits.

    The connection of the project's beat may wait for the broker forever.
    """

    def __init__(self, app: Celery) -> None:
        super().__init__(app)
        self._connection: Any = None

    @contextmanager
    def _producer(self) -> Iterator[Any]:
        try:
            if self._connection is None:
                self._connection = _connection(self._app)
            yield self._app.amqp.Producer(self._connection.default_channel, auto_declare=False)
        except Exception:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.collect(socket_timeout=TIMEOUT_SECONDS)
            raise


def _connection(app: Celery) -> Any:
    """Return a connection with the application's parameters and with time limits. The first use opens it."""
    template = app.connection_for_write()
    connection: Any = SingleAttemptConnection(**dict(template._info(resolve=False)))  # type: ignore[no-untyped-call]
    driver = connection.get_transport_cls().driver_type
    connection.connect_timeout = TIMEOUT_SECONDS
    options, url_count = template.transport_options, len(template.alt)
    connection.transport_options = with_time_limits(options, driver, url_count, TIMEOUT_SECONDS)
    return connection
