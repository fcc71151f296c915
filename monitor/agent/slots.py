"""Tasks in the slots of a worker's pool, with their ages by the monotonic clock."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from monitor.agent.protocol import HEARTBEAT

STALLED_INTERVALS = 2
STALLED_AT_LEAST_SECONDS = 10.0
REPLACED_AT_LEAST_SECONDS = 30.0
"""If the pool replaces its processes, a slot is not stalled before this time. Celery may need 5 s to replace a process,
or more on a busy machine, and the task given to the process waits meanwhile."""


def pool_process_of(request: Any) -> int | None:
    """Return the id of the prefork process that a request was given to; None if it was given to no process."""
    result = getattr(request, "_apply_result", None)
    job = result() if callable(result) else None
    return getattr(getattr(job, "_write_to", None), "pid", None)


class PoolSlots:
    """Tracker of the tasks in a pool's slots and of their ages. Only one thread may use it."""

    def __init__(self, *, interval_seconds: float, tasks_per_child: int | None) -> None:
        at_least = STALLED_AT_LEAST_SECONDS if tasks_per_child is None else REPLACED_AT_LEAST_SECONDS
        self._stalled_after = max(STALLED_INTERVALS * interval_seconds, at_least)
        self._observed_at = time.monotonic()
        self._stopped_since: dict[int, float] = {}
        self._start_times: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
        self._given_to_process: WeakKeyDictionary[Any, tuple[int, float]] = WeakKeyDictionary()

    def observe(
        self, requests: Collection[Any], running: Collection[Any], children: Collection[int]
    ) -> tuple[list[tuple[Any, float]], int]:
        """Return the running tasks, each with its age in seconds, and the number of stalled slots.

        Heartbeats, and tasks in processes that have been stopped for too long, are omitted from the tasks.

        ``requests`` are all requests that the worker has taken. ``running`` are the requests that its pool has started.
        ``children`` are the process ids of a prefork pool. A slot is stalled if one of these has lasted for too long:

        - Its process is stopped.
        - It holds a heartbeat.
        - It holds a task that it has not started.
        """
        now = time.monotonic()
        started_at = {request: self._start_time(request, now) for request in running}
        self._observed_at = now
        # The slots that hold a request without executing it. The keys are process ids, the values monotonic times.
        blocked_since = self._long_stopped(children, now)
        tasks = [
            request for request in running if request.name != HEARTBEAT and request.worker_pid not in blocked_since
        ]
        occupied = {request.worker_pid for request in tasks}
        for request in running:
            if request.name == HEARTBEAT:
                slot = pool_process_of(request) or id(request)  # in other pools each task has its own slot
                blocked_since[slot] = min(started_at[request], blocked_since.get(slot, now))
        for request in set(requests) - started_at.keys():
            pid = pool_process_of(request)
            if pid is not None and pid in children and pid not in occupied:
                blocked_since[pid] = min(self._given_since(request, pid, now), blocked_since.get(pid, now))
        stalled = sum(now - at > self._stalled_after for at in blocked_since.values())
        return [(request, now - started_at[request]) for request in tasks], stalled

    def _long_stopped(self, children: Collection[int], now: float) -> dict[int, float]:
        """Return the processes stopped (SIGSTOP) for too long, each with the time at which this was first observed."""
        self._stopped_since = {pid: self._stopped_since.get(pid, now) for pid in children if _is_stopped(pid)}
        return {pid: at for pid, at in self._stopped_since.items() if now - at > self._stalled_after}

    def _start_time(self, request: Any, now: float) -> float:
        """Return the monotonic start time of a request.

        It is computed when the request is first observed, from the wall clock time in the request. A result before the
        previous observation is wrong, because the wall clock was changed: the time of that observation is used instead.
        """
        started = self._start_times.get(request)
        if started is None:
            age = max(0.0, time.time() - (request.time_start or time.time()))
            started = self._start_times[request] = max(now - age, self._observed_at)
        return started

    def _given_since(self, request: Any, pid: int, now: float) -> float:
        given = self._given_to_process.get(request)
        if given is None or given[0] != pid:  # a new process has taken over the task of its predecessor
            given = self._given_to_process[request] = (pid, now)
        return given[1]


def _is_stopped(pid: int) -> bool:
    """Return whether a signal has stopped a process, according to proc(5); False without /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[:1] == [b"T"]
