"""Rules about a worker's free capacity, computed from its beacon. The agent and the monitor's verdicts use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from monitor.agent.liveness import CONCURRENT_POOLS
from monitor.agent.protocol import Beacon

CHEAP_TASKS_PER_CHILD = 10
"""Heartbeats are costly for a pool that replaces its processes after fewer tasks than this."""


class TaskLimits(Protocol):
    """Limits of the run time of tasks. The settings of the agent and of the monitor have these fields."""

    @property
    def stuck_after_seconds(self) -> float:
        """Limit in seconds for every task without a limit of its own."""

    @property
    def stuck_after_by_task(self) -> Mapping[str, float]:
        """Limits in seconds, by the task's name."""


def is_known_pool(beacon: Beacon) -> bool:
    """Return whether the pool is one of Celery's own. How other pools execute tasks is unknown."""
    return executes_beside_loop(beacon) or beacon.pool == "solo"


def executes_beside_loop(beacon: Beacon) -> bool:
    """Return whether the worker's loop turns while a task runs; False for solo and for unknown pools."""
    return beacon.pool in CONCURRENT_POOLS


def is_full(beacon: Beacon) -> bool:
    """Return whether a task occupies each slot that is not stalled."""
    return beacon.active_count >= max(1, beacon.slots - beacon.stalled if executes_beside_loop(beacon) else 1)


def is_holding_back(beacon: Beacon) -> bool:
    """Return whether the prefetch limit is used up by tasks that may not start yet (rate limit, ETA)."""
    return beacon.prefetch_full and beacon.reserved == beacon.held_back > 0


def has_free_capacity(beacon: Beacon) -> bool:
    """Return whether the worker can take a message and execute it at once."""
    return not (is_full(beacon) or beacon.prefetch_full or beacon.reserved > beacon.held_back)


def is_costly(beacon: Beacon) -> bool:
    """Return whether heartbeats are costly: the pool replaces its processes after so few tasks that each one counts."""
    return beacon.tasks_per_child is not None and beacon.tasks_per_child < CHEAP_TASKS_PER_CHILD


def overlong(beacon: Beacon, limits: TaskLimits) -> int:
    """Return the number of listed active tasks that run longer than their limit."""
    by_task, default = limits.stuck_after_by_task, limits.stuck_after_seconds
    return sum(task.age_seconds > by_task.get(task.task, default) for task in beacon.active)
