"""What the slots of a worker's pool hold, and for how long: by the monotonic clock, whatever the wall clock does."""

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
"""Celery may need 5 s to replace a child of prefork, more on a busy machine. What is given to it waits so long."""


def given_to(request: Any) -> int | None:
    """Return the process id of the prefork child that a request was given to; None when none has it."""
    result = getattr(request, "_apply_result", None)
    job = result() if callable(result) else None
    return getattr(getattr(job, "_write_to", None), "pid", None)


class PoolSlots:
    """The ages of what a pool's slots hold. Used by one thread."""

    def __init__(self, *, interval_seconds: float, tasks_per_child: int | None) -> None:
        at_least = STALLED_AT_LEAST_SECONDS if tasks_per_child is None else REPLACED_AT_LEAST_SECONDS
        self._stalled_after = max(STALLED_INTERVALS * interval_seconds, at_least)
        self._observed_at = time.monotonic()
        self._stopped_since: dict[int, float] = {}
        self._started: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
        self._given: WeakKeyDictionary[Any, tuple[int, float]] = WeakKeyDictionary()

    def observe(
        self, requests: Collection[Any], running: Collection[Any], children: Collection[int]
    ) -> tuple[list[tuple[Any, float]], int]:
        """Return the tasks in slots that work, each with its age in seconds, and how many slots are stalled.

        ``requests`` are all that the worker has taken, ``running`` those that its pool has begun, ``children`` the
        processes of a prefork pool. A slot is stalled when its process is stopped, or when it holds a heartbeat, or a
        task that it was given and has not begun, for longer than that may take.
        """
        now = time.monotonic()
        since = {request: self._start(request, now) for request in running}
        self._observed_at = now
        held = self._stopped(children, now)
        tasks = [request for request in running if request.name != HEARTBEAT and request.worker_pid not in held]
        occupied = {request.worker_pid for request in tasks}
        for request in running:
            if request.name == HEARTBEAT:
                holder = given_to(request) or id(request)  # on the other pools each task has a slot of its own
                held[holder] = min(since[request], held.get(holder, now))
        for request in set(requests) - since.keys():
            pid = given_to(request)
            if pid is not None and pid in children and pid not in occupied:
                held[pid] = min(self._given_at(request, pid, now), held.get(pid, now))
        stalled = sum(now - at > self._stalled_after for at in held.values())
        return [(request, now - since[request]) for request in tasks], stalled

    def _stopped(self, children: Collection[int], now: float) -> dict[int, float]:
        """Return the children that have been stopped for too long (SIGSTOP), and since when they are."""
        self._stopped_since = {pid: self._stopped_since.get(pid, now) for pid in children if _is_stopped(pid)}
        return {pid: at for pid, at in self._stopped_since.items() if now - at > self._stalled_after}

    def _start(self, request: Any, now: float) -> float:
        """Return when a request was begun. Its wall clock is heeded at the first observation only, within limits."""
        started = self._started.get(request)
        if started is None:
            age = max(0.0, time.time() - (request.time_start or time.time()))
            started = self._started[request] = max(now - age, self._observed_at)
        return started

    def _given_at(self, request: Any, pid: int, now: float) -> float:
        known = self._given.get(request)
        if known is None or known[0] != pid:  # a new child has taken over what its predecessor was given
            known = self._given[request] = (pid, now)
        return known[1]


def _is_stopped(pid: int) -> bool:
    """Return whether a process is stopped by a signal, as proc(5) tells; False without /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[:1] == [b"T"]
