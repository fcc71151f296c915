"""The agent's step in a worker's consumer. Started with each connection to the broker, stopped with its loss."""

from __future__ import annotations

from typing import Any

from celery import bootsteps

from monitor.agent import instrumentation
from monitor.agent.beacon import BeaconThread
from monitor.agent.direct_queue import DirectQueue
from monitor.agent.protocol import instance_target
from monitor.agent.worker_probe import WorkerProbe


class AgentStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Tells the beacon of its worker's connections; starts it with the first one."""

    label = "monitor"
    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        self._subject: WorkerProbe | None = None
        super().__init__(parent, **options)

    def include_if(self, parent: Any) -> bool:
        """Whether the agent is attached to this worker."""
        return instrumentation.settings_of(parent.app) is not None

    @instrumentation.safely
    def start(self, parent: Any) -> None:
        """The consumer has connected."""
        settings = instrumentation.settings_of(parent.app)
        if settings is None:
            return
        if self._subject is None:
            node, interval = str(parent.hostname), settings.interval_seconds
            target = instance_target(node, instrumentation.instance_of(node))
            direct = DirectQueue(parent, target, interval_seconds=interval)
            subject = WorkerProbe(parent, direct, interval_seconds=interval)
            beacon = BeaconThread(settings, subject)
            self._subject = subject
            subject.connected()
            beacon.start()
            instrumentation.add_beacon(beacon)
        else:
            self._subject.connected()

    @instrumentation.safely
    def stop(self, parent: Any) -> None:  # noqa: ARG002
        """The consumer has lost its connection, or is stopping."""
        if self._subject is not None:
            self._subject.disconnected()

    terminate = stop
