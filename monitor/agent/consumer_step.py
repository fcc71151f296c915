"""The agent's bootstep in a worker's consumer.

Celery starts the bootstep for each connection to the broker, and stops it when the connection is lost.
"""

from __future__ import annotations

from typing import Any

from celery import bootsteps

from monitor.agent import instrumentation
from monitor.agent.beacon import BeaconThread
from monitor.agent.direct_queue import DirectQueue
from monitor.agent.protocol import instance_target
from monitor.agent.worker_observer import WorkerObserver


class AgentStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Bootstep that starts the beacon thread at the first connection, and reports each connection to the observer."""

    label = "monitor"
    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        self._observer: WorkerObserver | None = None
        super().__init__(parent, **options)

    def include_if(self, parent: Any) -> bool:
        """Return whether this worker has the agent."""
        return instrumentation.settings_of(parent.app) is not None

    @instrumentation.safely
    def start(self, parent: Any) -> None:
        """Handle a new connection of the consumer."""
        settings = instrumentation.settings_of(parent.app)
        if settings is None:
            return
        if self._observer is None:
            node, interval = str(parent.hostname), settings.interval_seconds
            target = instance_target(node, instrumentation.instance_of(node))
            direct = DirectQueue(parent, target, interval_seconds=interval)
            observer = WorkerObserver(parent, direct, interval_seconds=interval)
            thread = BeaconThread(settings, observer)
            self._observer = observer
            observer.handle_connection()
            thread.start()
            instrumentation.add_thread(thread)
        else:
            self._observer.handle_connection()

    @instrumentation.safely
    def stop(self, parent: Any) -> None:  # noqa: ARG002
        """Handle the loss of the connection, or the end of the consumer."""
        if self._observer is not None:
            self._observer.handle_disconnection()

    terminate = stop
