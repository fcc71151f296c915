"""The monitor's sends in a beat whose scheduler is not its own: they hang on the scheduler's ticks.

As entries of the schedule they would be stored by some schedulers, which round half a second to 0 (django-celery-beat)
or keep them for ever. A beat that does not tick sends nothing this way, and neither does a redbeat without its lock.
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
from monitor.tasks.broker_errors import describe
from monitor.tasks.publish import Publisher

LONGEST_DELAY_SECONDS = 0.5
"""The scheduler ticks at least this often."""

TIMEOUT_SECONDS = 1.0
PAUSE_SECONDS = 3.0
"""A broker that does not answer is left alone for this time, so that the project's own entries are not held up."""

logger = logging.getLogger("monitor.beat")  # of the project's own beat, in sentences

_sending: WeakSet[Any] = WeakSet()


def send_at_each_tick(scheduler: Any, app: Celery, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Send the due ones of ``entries`` after each tick of ``scheduler``, which is wrapped on the instance."""
    if scheduler in _sending:
        return
    _sending.add(scheduler)
    tick, sender = scheduler.tick, TickSender(entries, BoundedPublisher(app))

    @functools.wraps(tick)
    def tick_and_send(*args: Any, **kwargs: Any) -> Any:
        delay = tick(*args, **kwargs)  # raises where the beat has to end, such as without its lock
        longest = sender.send_due()
        return min(delay, longest) if delay else delay

    scheduler.tick = tick_and_send


class TickSender:
    """Sends each entry at its interval, as far as it is called."""

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
        """Send what is due, once each however long the last call is ago. Never raises.

        Returns the time until the next call is wanted, in seconds, at most ``LONGEST_DELAY_SECONDS``. While five of an
        entry's queue wait to be taken, no more are sent there.
        """
        now = self._clock()
        for name in [name for name, due_at in self._due_at.items() if due_at <= now]:
            interval = self._entries[name]["schedule"]
            in_rhythm = self._due_at[name] + interval
            self._due_at[name] = in_rhythm if in_rhythm > now else now + interval
            try:
                self._send(self._entries[name])
            except Exception as error:  # noqa: BLE001 - of any transport: the project's beat goes on
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
            found = describe(error)
            logger.warning("the broker takes no checks: %s", found["message"] or found["reason"])
        self._failed = True
        later = self._clock() + PAUSE_SECONDS
        self._due_at = {name: max(later, due_at) for name, due_at in self._due_at.items()}


class BoundedPublisher(Publisher):
    """A publisher with a connection of its own, each of whose steps is bounded in time.

    That of the project's beat may wait for its broker for ever.
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
    """Return a connection like those of the application, with time limits. Connects to nothing yet."""
    usual = app.connection_for_write()
    connection: Any = SingleAttemptConnection(**dict(usual._info(resolve=False)))  # type: ignore[no-untyped-call]
    driver = connection.get_transport_cls().driver_type
    connection.connect_timeout = TIMEOUT_SECONDS
    connection.transport_options = with_time_limits(usual.transport_options, driver, len(usual.alt), TIMEOUT_SECONDS)
    return connection
