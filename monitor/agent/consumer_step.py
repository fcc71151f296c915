"""The agent's bootstep in a worker's consumer.

Celery starts it with each connection to the broker, and stops it when that connection is lost.
"""

from __future__ import annotations

from typing import Any

from celery import bootsteps

from monitor.agent import instrumentation
from monitor.agent.beacon import BeaconThread
from monitor.agent.direct_queue import DirectQueue
from monitor.agent.protocol import instance_target
from monitor.agent.worker_probe import WorkerProbe


class AgentStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Bootstep that starts the beacon thread with the first connection, and reports each connection to the probe."""

    label = "monitor"
    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        self._probe: WorkerProbe | None = None
        super().__init__(parent, **options)

    def include_if(self, parent: Any) -> bool:
        """Return whether the agent instruments this worker."""
        return instrumentation.settings_of(parent.app) is not None

    @instrumentation.safely
    def start(self, parent: Any) -> None:
        """Handle a new connection of the consumer."""
        settings = instrumentation.settings_of(parent.app)
        if settings is None:
            return
        if self._probe is None:
            node, interval = str(parent.hostname), settings.interval_seconds
            target = instance_target(node, instrumentation.instance_of(node))
            direct = DirectQueue(parent, target, interval_seconds=interval)
            probe = WorkerProbe(parent, direct, interval_seconds=interval)
            beacon = BeaconThread(settings, probe)
            self._probe = probe
            probe.connected()
            beacon.start()
            instrumentation.add_beacon(beacon)
        else:
            self._probe.connected()

    @instrumentation.safely
    def stop(self, parent: Any) -> None:  # noqa: ARG002
        """Handle the loss of the connection, or the end of the consumer."""
        if self._probe is not None:
            self._probe.disconnected()

    terminate = stop
