"""What a beacon says about its worker's room for more: for the agent itself and for the monitor's verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from monitor.agent.liveness import CONCURRENT_POOLS
from monitor.agent.protocol import Beacon

CHEAP_TASKS_PER_CHILD = 10
"""A process of the pool that is replaced after fewer tasks is dear: heartbeats use up a good part of it."""


class TaskLimits(Protocol):
    """For how long a task may run, as the agent's settings and the monitor's have it."""

    @property
    def stuck_after_seconds(self) -> float:
        """For every task that has no limit of its own."""

    @property
    def stuck_after_by_task(self) -> Mapping[str, float]:
        """Limits by the task's name, in seconds."""


def is_known_pool(beacon: Beacon) -> bool:
    """Return whether the pool is one of Celery's own. Of others it is not known how they execute."""
    return executes_beside_loop(beacon) or beacon.pool == "solo"


def executes_beside_loop(beacon: Beacon) -> bool:
    """Return whether a task leaves the worker's loop free, and heartbeats with it: not in solo and unknown pools."""
    return beacon.pool in CONCURRENT_POOLS


def is_full(beacon: Beacon) -> bool:
    """Return whether each slot that works is taken by a task."""
    return beacon.active_count >= max(1, beacon.slots - beacon.stalled if executes_beside_loop(beacon) else 1)


def is_holding_back(beacon: Beacon) -> bool:
    """Return whether tasks that may not begin yet are all it has, and keep it from taking others."""
    return beacon.prefetch_full and beacon.reserved == beacon.held_back > 0


def has_free_capacity(beacon: Beacon) -> bool:
    """Return whether it can take a message and execute it now."""
    return not (is_full(beacon) or beacon.prefetch_full or beacon.reserved > beacon.held_back)


def is_costly(beacon: Beacon) -> bool:
    """Return whether each heartbeat costs it a good part of a process of its pool."""
    return beacon.tasks_per_child is not None and beacon.tasks_per_child < CHEAP_TASKS_PER_CHILD


def overlong(beacon: Beacon, limits: TaskLimits) -> int:
    """Return how many of its listed tasks run longer than they may."""
    by_task, default = limits.stuck_after_by_task, limits.stuck_after_seconds
    return sum(task.age_seconds > by_task.get(task.task, default) for task in beacon.active)
