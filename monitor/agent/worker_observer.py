"""Observation of a worker. The beacon thread reads the worker's state and never waits for the worker."""

from __future__ import annotations

import os
import platform
import socket
import time
from collections.abc import Iterable
from typing import Any

import celery
import kombu
import redis
from celery.worker import state

from monitor.agent import formats, instrumentation, lasting_queues
from monitor.agent.direct_queue import DirectQueue
from monitor.agent.protocol import HEARTBEAT, PACKAGE, ActiveTask, Beacon, is_direct_queue
from monitor.agent.slots import PoolSlots
from monitor.lib.version import installed_version

TICK_SECONDS = 1.0
_MAX_ACTIVE_TASKS = 200
_POOLS = {
    "celery.concurrency.prefork": "prefork",
    "celery.concurrency.thread": "threads",
    "celery.concurrency.gevent": "gevent",
    "celery.concurrency.eventlet": "eventlet",
    "celery.concurrency.solo": "solo",
}


class WorkerObserver:
    """Observer of one worker. The agent creates the observer when the consumer first connects to the broker."""

    def __init__(self, consumer: Any, direct: DirectQueue, *, interval_seconds: float) -> None:
        self.node, self.target = str(consumer.hostname), direct.target
        self.instance = instrumentation.instance_of(self.node)
        self._consumer = consumer
        self._direct_queue = direct
        self._ready_at = time.monotonic()
        self._ticked_at: float | None = None
        self._timer_entry: Any = None
        self._last_queues: tuple[Any, ...] = ()
        self._node_pattern = lasting_queues.node_pattern(self.node, socket.gethostname())
        tasks_per_child = _tasks_per_child(consumer.pool)
        self._pool_slots = PoolSlots(interval_seconds=interval_seconds, tasks_per_child=tasks_per_child)
        self._constant_fields = {
            "node": self.node,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "pool": _pool_name(consumer.pool),
            "tasks_per_child": tasks_per_child,
            "instance": self.instance,
            "direct_queue": direct.name,
            "accept": formats.accepted(consumer.app.conf),
            "versions": {
                "celery": celery.__version__,
                "kombu": kombu.__version__,
                "redis": redis.__version__,
                "python": platform.python_version(),
                PACKAGE: installed_version(),
            },
        }

    @property
    def conf(self) -> Any:
        """The configuration of the worker's Celery application."""
        return self._consumer.app.conf

    @property
    def app(self) -> Any:
        """The worker's Celery application."""
        return self._consumer.app

    def handle_connection(self) -> None:
        """Handle a new connection of the consumer to the broker. The worker's main thread calls this."""
        self._cancel_timer()
        self._tick()
        # When a connection is lost, Celery up to 5.6 clears the timer. Later versions remove the entries that were
        # added for this connection.
        self._timer_entry = self._consumer.timer.call_repeatedly(TICK_SECONDS, self._tick)
        self._direct_queue.connect()

    def handle_disconnection(self) -> None:
        """Handle the loss of the connection or the end of the consumer. The worker's main thread calls this."""
        self._ticked_at = None
        self._cancel_timer()
        self._direct_queue.disconnect()

    def started_count(self) -> int:
        """Return the number of tasks started so far, including heartbeats."""
        return sum(_copy(state.total_count.values()))

    def observe(self, *, interval_seconds: float, leaving: bool) -> Beacon:
        """Return a beacon with the worker's present state.

        The caller adds the project, the metrics of the host and the process, the heartbeat count and the connection id.
        """
        running = _copy(state.active_requests)
        # Heartbeats are not reported as active: in a stopped process they would count as tasks that run too long.
        aged_requests, stalled = self._pool_slots.observe(
            _copy(state.requests.values()), running, _pool_process_ids(self._consumer.pool)
        )
        tasks = [ActiveTask(str(request.name), round(age, 1)) for request, age in aged_requests]
        tasks.sort(key=lambda task: -task.age_seconds)
        held_back = self._held_back_count()
        counts = dict(state.total_count)
        queues = self._consumed_queues()
        ticked_at = self._ticked_at
        values: dict[str, Any] = {
            **self._constant_fields,
            "slots": _slot_count(self._consumer.pool),
            "up_seconds": round(time.monotonic() - self._ready_at, 1),
            "queues": tuple(sorted({str(queue.name) for queue in queues})),
            "short_lived": lasting_queues.short_lived(
                queues, node_pattern=self._node_pattern, default=self.conf.task_default_queue
            ),
            "direct": self._direct_queue.is_consumed,
            "active": tuple(tasks[:_MAX_ACTIVE_TASKS]),
            "active_count": len(tasks),
            "reserved": max(0, len(state.reserved_requests) - len(running)) + held_back,
            "held_back": held_back,
            "prefetch_full": self._is_prefetch_full(),
            "stalled": stalled,
            "done": max(0, sum(counts.values()) - counts.get(HEARTBEAT, 0) - _task_count(running)),
            "connected": ticked_at is not None,
            "restarts": max(0, int(self._consumer.restart_count)),
            # The timer ticks every second, so a delay of up to one second is no lag.
            "loop_lag_seconds": None
            if ticked_at is None
            else round(max(0.0, time.monotonic() - ticked_at - TICK_SECONDS), 2),
        }
        return Beacon(**values, interval_seconds=interval_seconds, leaving=leaving)

    def _tick(self) -> None:
        self._ticked_at = time.monotonic()
        self._direct_queue.tick()

    def _cancel_timer(self) -> None:
        entry, self._timer_entry = self._timer_entry, None
        if entry is not None:
            self._consumer.timer.cancel(entry)

    def _consumed_queues(self) -> tuple[Any, ...]:
        """Return the queues that the worker consumes, without its direct queue.

        When the worker ends, return the queues that it consumed last.
        """
        # While the consumer reconnects, `task_consumer` is unchanged. It is None only when the worker ends.
        task_consumer = self._consumer.task_consumer
        if task_consumer is not None:
            self._last_queues = tuple(queue for queue in task_consumer.queues if not is_direct_queue(str(queue.name)))
        return self._last_queues

    def _held_back_count(self) -> int:
        """Return the number of tasks that wait for a rate limit or an ETA.

        Celery does not count these tasks as reserved.
        """
        consumer = self._consumer
        rate_limited = sum(len(bucket.contents) for bucket in _copy(consumer.task_buckets.values()) if bucket)
        eta_callbacks = (consumer.apply_eta_task, consumer._limit_post_eta)
        # The private list `_queue` is read, because the property `queue` sorts a copy of the list on each access.
        timers = getattr(getattr(consumer.timer, "schedule", None), "_queue", ())
        entries = (getattr(timer, "entry", None) for timer in _copy(timers))
        return rate_limited + sum(
            entry is not None and entry.fun in eta_callbacks and not entry.canceled for entry in entries
        )

    def _is_prefetch_full(self) -> bool:
        """Return whether the prefetch limit keeps kombu from reading any queue.

        Return False on AMQP, where the broker applies the limit. The broker does not apply it to the direct queue.
        """
        task_consumer = self._consumer.task_consumer
        qos = getattr(task_consumer.channel, "qos", None) if task_consumer is not None else None
        return qos is not None and not qos.can_consume()


def _pool_name(pool: Any) -> str:
    # A subclass of a pool is in another module, and so counts as unknown: a subclass may execute tasks in another way.
    return _POOLS.get(type(pool).__module__, type(pool).__name__)


def _task_count(requests: Iterable[Any]) -> int:
    return sum(request.name != HEARTBEAT for request in requests)


def _pool_process_ids(pool: Any) -> set[int]:
    processes = getattr(getattr(pool, "_pool", None), "_pool", None)
    return {process.pid for process in processes if process.pid} if isinstance(processes, list) else set()


def _tasks_per_child(pool: Any) -> int | None:
    limit = getattr(getattr(pool, "_pool", None), "_maxtasksperchild", None)
    return int(limit) if limit else None


def _slot_count(pool: Any) -> int:
    # `num_processes` of prefork is the current number of processes. Autoscaling changes it, even to 0.
    return max(1, int(getattr(pool, "num_processes", None) or getattr(pool, "limit", None) or 1))


def _copy(live: Iterable[Any]) -> list[Any]:
    """Return a copy of a collection. The main thread may change the collection during the iteration."""
    for _ in range(20):
        try:
            return list(live)
        except RuntimeError:  # changed size during iteration
            continue
    return []
