"""The queues of the monitor's own tasks in a project's worker (`monitor.install(app, run_checks=True)`).

Not by `app.amqp.queues`: Celery declares those in a step of its own, where a refusal of the broker ends the worker.
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
    """Have the workers of an application consume what is named to :func:`consume` before they connect."""
    app.steps["consumer"].add(OwnQueuesStep)


def consume(app: Any, queues: Iterable[str]) -> None:
    """Name the queues that the worker in this process consumes, too."""
    _queues[app] = tuple(queues)


class OwnQueuesStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Adds the queues to Celery's consumer with each connection to the broker."""

    label = "monitor's queues"
    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        """The consumer has connected, and begins to consume what it has now."""
        for name in _queues.get(parent.app, ()):
            try:
                _add(parent, name)
            except Exception as error:  # noqa: BLE001 - of any transport
                log.warning("the broker refuses the queue %s: no checks of it run here (%s)", name, str(error)[:200])


def _add(parent: Any, name: str) -> None:
    entity: Any = importlib.import_module("kombu.entity")
    queue = entity.Queue(name, entity.Exchange(""), name, max_priority=parent.app.conf.task_queue_max_priority)
    if parent.connection.transport.driver_type == "amqp":
        # An error closes the channel on which it occurs: try it on another one than Celery's.
        channel = parent.connection.channel()
        try:
            queue(channel).declare()
            channel.basic_get(name, no_ack=False)  # the permission to read; what it has got returns with close()
        finally:
            channel.close()
    parent.task_consumer.add_queue(queue)
