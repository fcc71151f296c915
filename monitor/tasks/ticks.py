"""Sending of the monitor's periodic tasks from a project's beat, after each tick of its scheduler.

The tasks are not entries of the schedule, because some schedulers would store them, round half a second to 0
(django-celery-beat) or keep them forever. A beat that does not tick, such as a redbeat without its lock, sends none.
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
"""Pause after a failure of the broker, so that the project's own entries are not delayed by more attempts."""

logger = logging.getLogger("monitor.beat")  # in the log of the project's beat, which is not structured: plain sentences

_wrapped: WeakSet[Any] = WeakSet()


def send_at_each_tick(scheduler: Any, app: Celery, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Send the due ``entries`` after each tick of ``scheduler``. Replaces the method ``tick`` of the instance, once."""
    if scheduler in _wrapped:
        return
    _wrapped.add(scheduler)
    tick, sender = scheduler.tick, TickSender(entries, TimeLimitedPublisher(app))

    @functools.wraps(tick)
    def tick_and_send(*args: Any, **kwargs: Any) -> Any:
        delay = tick(*args, **kwargs)  # raises when the beat must end, such as without its lock
        longest = sender.send_due()
        return min(delay, longest) if delay else delay

    scheduler.tick = tick_and_send


class TickSender:
    """Sender of each entry at its interval. It sends only when :meth:`send_due` is called."""

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

        Return the seconds until the next call, at most ``LONGEST_DELAY_SECONDS``. While ``MAX_WAITING`` messages wait
        in an entry's queue, nothing is sent there.
        """
        now = self._clock()
        for name in [name for name, due_at in self._due_at.items() if due_at <= now]:
            interval = self._entries[name]["schedule"]
            next_due_at = self._due_at[name] + interval
            self._due_at[name] = next_due_at if next_due_at > now else now + interval
            try:
                self._send(self._entries[name])
            except Exception as error:  # noqa: BLE001 - from any transport; the project's beat goes on
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
            logger.warning("the broker accepts no checks: %s", fields["message"] or fields["reason"])
        self._failed = True
        resume_at = self._clock() + PAUSE_SECONDS
        self._due_at = {name: max(resume_at, due_at) for name, due_at in self._due_at.items()}


class TimeLimitedPublisher(Publisher):
    """Publisher with a connection of its own that has time limits.

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
    """Return a connection with the application's parameters and with time limits. It is not opened yet."""
    usual = app.connection_for_write()
    connection: Any = SingleAttemptConnection(**dict(usual._info(resolve=False)))  # type: ignore[no-untyped-call]
    driver = connection.get_transport_cls().driver_type
    connection.connect_timeout = TIMEOUT_SECONDS
    connection.transport_options = with_time_limits(usual.transport_options, driver, len(usual.alt), TIMEOUT_SECONDS)
    return connection
