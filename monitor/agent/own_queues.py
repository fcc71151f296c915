"""Consumption of the monitor's own queues in a project's worker (`monitor.install(app, run_checks=True)`).

The queues are not added to `app.amqp.queues`. Celery declares the queues in `app.amqp.queues` in a bootstep, and the
worker ends if the broker refuses a queue.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary

from celery import bootsteps

log = logging.getLogger("monitor.agent")

_queues: WeakKeyDictionary[Any, tuple[str, ...]] = WeakKeyDictionary()


def install(app: Any) -> None:
    """Add a bootstep to the workers of an application. It consumes the queues of :func:`set_queues`."""
    app.steps["consumer"].add(OwnQueuesStep)


def set_queues(app: Any, queues: Iterable[str]) -> None:
    """Set the additional queues of the worker in this process. Must be called before the worker connects."""
    _queues[app] = tuple(queues)


class OwnQueuesStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Bootstep that adds the additional queues to Celery's consumer at each connection to the broker."""

    label = "monitor's queues"
    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        """Add the additional queues. Celery's consumer starts after this step."""
        for name in _queues.get(parent.app, ()):
            try:
                _add(parent, name)
            except Exception as error:  # noqa: BLE001 - any transport may raise here
                log.warning(
                    "the broker refuses the queue %s: this worker runs no checks from it (%s)", name, str(error)[:200]
                )


def _add(parent: Any, name: str) -> None:
    entity: Any = importlib.import_module("kombu.entity")
    queue = entity.Queue(name, entity.Exchange(""), name, max_priority=parent.app.conf.task_queue_max_priority)
    if parent.connection.transport.driver_type == "amqp":
        # An error closes the channel on which it occurs, so the queue is tried on a channel other than Celery's.
        channel = parent.connection.channel()
        try:
            queue(channel).declare()
            # Tests the permission to read. Closing the channel returns the message.
            channel.basic_get(name, no_ack=False)
        finally:
            channel.close()
    parent.task_consumer.add_queue(queue)
