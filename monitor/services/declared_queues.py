"""Queues that the project's workers consume, for checks that count the waiting tasks of all queues."""

from __future__ import annotations

from monitor.config import CheckSpec
from monitor.policy.workers import round_state
from monitor.ports.workers import WorkerRegistry

OPTION = "queues"
"""Option with the names of the queues to count."""

MAX_QUEUES = 100
"""Most queues that one check counts. An outcome has a limited size, and AMQP needs a request for each queue."""


def with_declared_queues(check: CheckSpec, registry: WorkerRegistry) -> CheckSpec:
    """Return the check with the queues of the last round in addition to the queues in its options.

    These are the queues that workers declare in their beacons. So a queue is counted even if neither the settings nor
    the Celery application name it, as with ``celery worker -Q mail``. Raises StoreUnavailable.
    """
    state, _ = round_state.decode(registry.round_state())
    configured = tuple(check.options.get(OPTION, ()))
    declared = sorted(state.queues) if state is not None else []
    queues = tuple(dict.fromkeys((*configured, *declared)))[: max(MAX_QUEUES, len(configured))]
    return check if queues == configured else check.model_copy(update={"options": {**check.options, OPTION: queues}})
