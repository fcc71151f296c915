"""Rules that compute a worker's free capacity from its beacon. The agent and the monitor's verdicts use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from monitor.agent.liveness import CONCURRENT_POOLS
from monitor.agent.protocol import Beacon

CHEAP_TASKS_PER_CHILD = 10
"""If a pool replaces each process after fewer tasks than this, heartbeats are costly."""


class TaskLimits(Protocol):
    """Limits of the run time of tasks. The settings of the agent and of the monitor have these fields."""

    @property
    def stuck_after_seconds(self) -> float:
        """Limit in seconds for tasks that ``stuck_after_by_task`` does not name."""

    @property
    def stuck_after_by_task(self) -> Mapping[str, float]:
        """Limits in seconds, by the task's name."""


def is_known_pool(beacon: Beacon) -> bool:
    """Return whether the pool is one of Celery's own. Other pools may execute tasks in any way."""
    return executes_beside_loop(beacon) or beacon.pool == "solo"


def executes_beside_loop(beacon: Beacon) -> bool:
    """Return whether the worker's event loop keeps running during a task. False for solo and for unknown pools."""
    return beacon.pool in CONCURRENT_POOLS


def is_full(beacon: Beacon) -> bool:
    """Return whether no slot is free: each slot is occupied or stalled.

    In the pool solo and in unknown pools, one task occupies all slots.
    """
    return beacon.active_count >= max(1, beacon.slots - beacon.stalled if executes_beside_loop(beacon) else 1)


def is_holding_back(beacon: Beacon) -> bool:
    """Return whether tasks that wait for a rate limit or an ETA use up the prefetch limit."""
    return beacon.prefetch_full and beacon.reserved == beacon.held_back > 0


def has_free_capacity(beacon: Beacon) -> bool:
    """Return whether the worker can take a message and execute it at once."""
    return not (is_full(beacon) or beacon.prefetch_full or beacon.reserved > beacon.held_back)


def is_costly(beacon: Beacon) -> bool:
    """Return whether heartbeats are costly, because the pool replaces its processes after a few tasks."""
    return beacon.tasks_per_child is not None and beacon.tasks_per_child < CHEAP_TASKS_PER_CHILD


def overlong(beacon: Beacon, limits: TaskLimits) -> int:
    """Return the number of listed active tasks that run longer than their limit."""
    by_task, default = limits.stuck_after_by_task, limits.stuck_after_seconds
    return sum(task.age_seconds > by_task.get(task.task, default) for task in beacon.active)
