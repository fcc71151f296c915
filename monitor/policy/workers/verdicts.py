"""Verdicts of workers and queues: ordered rules, of which the first that holds decides. The last one always holds.

A worker that shuts down properly writes a last beacon with ``leaving``, which is its goodbye.
`monitor.policy.workers.outcomes` makes outcomes from verdicts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from monitor.agent.capacity import executes_beside_loop, is_costly, is_full, is_holding_back, is_known_pool, overlong
from monitor.agent.protocol import Beacon
from monitor.config.settings import WorkerSettings
from monitor.model.checks import QueueVerdict, WorkerVerdict
from monitor.ports.workers import ExecutedHeartbeat

OVERDUE_INTERVALS = 1.25
"""Age, in intervals, at which an unanswered heartbeat is overdue: at most 2.25 intervals after a fault."""

ALIVE_INTERVALS = 0.5
"""The newest beacon must also be this much younger than the heartbeat. Otherwise the worker may have ended."""

EXPENSIVE_OVERDUE_INTERVALS = 5.0
"""The same age for pools in which a heartbeat uses up a process: the next process has to start first."""

FRESH_INTERVALS = 2.0
"""An older beacon is overdue."""

START_INTERVALS = 3.0
"""A younger worker may not have executed a heartbeat yet."""

PROGRESS_INTERVALS = 2.0
"""A worker that executed a direct heartbeat within this time is consuming."""

WORK_INTERVALS = 1.5
"""The same for tasks that beacons count as finished. Beacons are half an interval apart, or a little more."""

SERVING = frozenset({WorkerVerdict.STARTING, WorkerVerdict.CONSUMING, WorkerVerdict.BUSY})
"""Verdicts of workers that serve their queues."""

ABSENT = frozenset({WorkerVerdict.LOST, WorkerVerdict.SILENT})
"""Verdicts of workers that probably ended without a goodbye."""


class WorkerReason(StrEnum):
    """Reason codes of a worker's check that are not verdicts."""

    FORGOTTEN = "forgotten"
    SLOTS_STUCK = "slots_stuck"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class WorkerObservation:
    """Facts about one worker at one moment. Times and ages are in seconds, by the store's clock.

    - ``beacon_at``: time of the newest beacon.
    - ``unseen_seconds``: age of the newest beacon.
    - ``beacon_age``: the same, but counted from the last failure of the store if that is later than the beacon.
    - ``waiting_seconds``: age of the oldest unanswered direct heartbeat. It was sent after the newest executed one and
      after the worker's start, and neither the store nor the broker failed since. None when none is unanswered, or
      when the worker does not consume its own queue and is judged without heartbeats.
    - ``worked_seconds``: age of the newest beacon that counted more finished tasks (heartbeats included) than the one
      before it. None when no beacon did.
    - ``connected``: whether the worker is connected to the store. None when the server does not report that.
    """

    beacon: Beacon
    beacon_age: float
    unseen_seconds: float
    beacon_at: float
    executed: ExecutedHeartbeat | None = None
    waiting_seconds: float | None = None
    connected: bool | None = None
    worked_seconds: float | None = None

    @property
    def started_at(self) -> float:
        """Time at which the worker was ready to consume."""
        return self.beacon_at - self.beacon.up_seconds

    @property
    def has_executed(self) -> bool:
        """True when the worker has executed a direct heartbeat since it started."""
        return self.executed is not None and self.executed.done_at >= self.started_at - 1.0

    @property
    def is_judged_by_heartbeats(self) -> bool:
        """True unless the worker gets no heartbeats, or its pool may be unable to execute any."""
        return self.beacon.direct and (is_known_pool(self.beacon) or self.has_executed)

    @property
    def executed_seconds(self) -> float | None:
        """Time since the newest executed direct heartbeat; None when none was executed since the start."""
        if self.executed is None or not self.has_executed:
            return None
        return max(0.0, self.beacon_at + self.unseen_seconds - self.executed.done_at)


@dataclass(frozen=True, slots=True)
class QueueObservation:
    """Facts about one expected queue at one moment. Ages are in seconds, by the store's clock.

    - ``unserved_seconds``: time since a worker that declares the queue was last consuming, busy or starting.
    - ``workers``: the verdicts of the workers that declare the queue.
    - ``executed``: the newest heartbeat that was executed from the queue.
    - ``waiting_seconds``: age of the oldest unanswered heartbeat in the queue.
    - ``head_seconds``: time for which the same message has been at the head of the queue. None when no message waits,
      or when the head is not known.
    - ``pending``: number of waiting messages; None when the broker did not answer.
    - ``withheld``: the queue gets no heartbeats.
    - ``left_seconds``: time since the last worker that served the queue left with a goodbye. None when its service did
      not end with a goodbye.
    - ``may_rest``: the queue matches ``workers.may_rest``.
    - ``untaken_seconds``: time for which a message other than a heartbeat has waited while none was taken. None when
      no such message waits, or when that is not known.
    """

    name: str
    unserved_seconds: float
    workers: tuple[WorkerVerdict, ...] = ()
    executed: ExecutedHeartbeat | None = None
    waiting_seconds: float | None = None
    head_seconds: float | None = None
    pending: int | None = None
    withheld: bool = False
    left_seconds: float | None = None
    may_rest: bool = False
    untaken_seconds: float | None = None


def worker_verdict(worker: WorkerObservation, settings: WorkerSettings) -> WorkerVerdict:
    """Return the verdict of the first rule for workers that holds."""
    return next(verdict for verdict, holds in _WORKER_RULES if holds(worker, settings))


def queue_verdict(queue: QueueObservation, settings: WorkerSettings) -> QueueVerdict:
    """Return the verdict of the first rule for queues that holds."""
    return next(verdict for verdict, holds in _QUEUE_RULES if holds(queue, settings))


def slots_stuck(beacon: Beacon, settings: WorkerSettings) -> int:
    """Return the number of slots that execute nothing, or a task that has exceeded ``stuck_after``."""
    return min(beacon.slots, beacon.stalled + overlong(beacon, settings))


def is_forgotten(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    """Return whether the beacon is so old that the lost worker is no longer an alarm (``forget_lost_after``)."""
    return worker.unseen_seconds > settings.forget_lost_after_seconds


def is_expired(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    """Return whether the beacon is so old that the worker is not shown any more (``forget_after`` later)."""
    lost = 0.0 if worker.beacon.leaving else settings.forget_lost_after_seconds
    return worker.unseen_seconds > lost + settings.forget_after_seconds


def has_fresh_beacon(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    """Return whether the newest beacon is not overdue."""
    return worker.beacon_age <= FRESH_INTERVALS * settings.interval_seconds


def served_until(worker: WorkerObservation, verdict: WorkerVerdict, now: float) -> float | None:
    """Return the last time at which the worker is known to have served its queues; None when it does not serve them.

    This is the time of its newest beacon. While a heartbeat of a consuming worker is unanswered, it is not later than
    the sending of that heartbeat or the last task or heartbeat that the worker finished. A heartbeat that uses up a
    process of the pool may wait for the next process, so it is not counted as unanswered here.
    """
    if verdict is WorkerVerdict.CONSUMING and worker.waiting_seconds is not None and not is_costly(worker.beacon):
        ages = (worker.waiting_seconds, worker.executed_seconds, worker.worked_seconds)
        return min(worker.beacon_at, now - min(age for age in ages if age is not None))
    return worker.beacon_at if verdict in SERVING else None


def _is_retired(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    return worker.beacon.leaving or is_forgotten(worker, settings)


def _is_silent(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    return not has_fresh_beacon(worker, settings) and worker.connected is None


def _is_lost(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    return not has_fresh_beacon(worker, settings) and not worker.connected


def _is_unresponsive(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    return not has_fresh_beacon(worker, settings)


def _is_starting(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    is_young = worker.beacon.up_seconds < START_INTERVALS * settings.interval_seconds
    not_tested_yet = worker.beacon.direct and not _is_overdue(worker, settings)
    return not worker.has_executed and (is_young or not_tested_yet)


def _is_consuming(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    if _is_progressing(worker, settings):
        return True
    if worker.is_judged_by_heartbeats:
        return not _is_overdue(worker, settings)
    return not (_is_loop_blocked(worker, settings) or _is_busy(worker, settings))


def _is_progressing(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    """Return whether the worker finished a heartbeat or a task lately, even one that was overdue."""
    ages = ((worker.executed_seconds, PROGRESS_INTERVALS), (worker.worked_seconds, WORK_INTERVALS))
    return any(age is not None and age <= intervals * settings.interval_seconds for age, intervals in ages)


def _is_loop_blocked(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    beacon = worker.beacon
    is_occupied = not executes_beside_loop(beacon) and beacon.active_count > 0  # its tasks run in the loop
    # A worker that searches for its broker blocks its loop, too. Its verdict is `wedged`.
    is_excused = is_occupied or not beacon.connected
    # The loop ticks every second. Heartbeats are overdue already, so a lag below their two intervals is enough.
    return not is_excused and (beacon.loop_lag_seconds or 0.0) > max(2.0, settings.interval_seconds)


def _is_stuck(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    # A beacon lists only the oldest tasks. The rule assumes that the others exceed their limits, too.
    listed = worker.beacon.active
    return is_full(worker.beacon) and bool(listed) and overlong(worker.beacon, settings) == len(listed)


def _is_busy(worker: WorkerObservation, settings: WorkerSettings) -> bool:  # noqa: ARG001 - rules have one signature
    return is_full(worker.beacon) or is_holding_back(worker.beacon)


def _is_overdue(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    interval = settings.interval_seconds
    if worker.waiting_seconds is None:
        return False
    limit = EXPENSIVE_OVERDUE_INTERVALS if is_costly(worker.beacon) else OVERDUE_INTERVALS
    alive_seconds = worker.waiting_seconds - worker.unseen_seconds  # from the heartbeat to the newest beacon
    return worker.waiting_seconds >= limit * interval and alive_seconds >= ALIVE_INTERVALS * interval


def _always(*_: object) -> bool:
    return True


_WORKER_RULES: tuple[tuple[WorkerVerdict, Callable[[WorkerObservation, WorkerSettings], bool]], ...] = (
    (WorkerVerdict.RETIRED, _is_retired),
    (WorkerVerdict.SILENT, _is_silent),
    (WorkerVerdict.LOST, _is_lost),
    (WorkerVerdict.FROZEN, _is_unresponsive),
    (WorkerVerdict.STARTING, _is_starting),
    (WorkerVerdict.CONSUMING, _is_consuming),
    (WorkerVerdict.FROZEN, _is_loop_blocked),
    (WorkerVerdict.STUCK, _is_stuck),
    (WorkerVerdict.BUSY, _is_busy),
    (WorkerVerdict.WEDGED, _always),
)


def _is_resting(queue: QueueObservation, settings: WorkerSettings) -> bool:
    if queue.may_rest:
        needed = queue.untaken_seconds is not None and queue.untaken_seconds >= settings.return_within_seconds
        return ABSENT.issuperset(queue.workers) and not needed
    left = queue.left_seconds
    return not queue.workers and left is not None and left <= settings.return_within_seconds


def _is_unserved(queue: QueueObservation, settings: WorkerSettings) -> bool:
    none_serves = bool(queue.workers) and not SERVING.intersection(queue.workers)
    return none_serves or queue.unserved_seconds > 2 * settings.interval_seconds


def _is_standing_still(queue: QueueObservation, settings: WorkerSettings) -> bool:
    interval = settings.interval_seconds
    if set(queue.workers) == {WorkerVerdict.BUSY}:
        return False
    # The head is read only while a heartbeat is unanswered: from the next round on, half an interval after sending.
    is_overdue = (queue.waiting_seconds or 0.0) >= OVERDUE_INTERVALS * interval
    return is_overdue and (queue.head_seconds or 0.0) >= 1.5 * interval


def _is_slow(queue: QueueObservation, settings: WorkerSettings) -> bool:
    if queue.withheld:
        return False  # its newest executed heartbeat is old
    # A heartbeat that is neither in the queue nor executed was lost: an empty queue is not slow because of it.
    waiting = queue.waiting_seconds or 0.0 if queue.pending else 0.0
    took = queue.executed.done_at - queue.executed.sent_at if queue.executed else 0.0
    return max(waiting, took) > settings.slow_after_seconds


_QUEUE_RULES: tuple[tuple[QueueVerdict, Callable[[QueueObservation, WorkerSettings], bool]], ...] = (
    (QueueVerdict.RESTING, _is_resting),
    (QueueVerdict.UNCONSUMED, _is_unserved),
    (QueueVerdict.UNCONSUMED, _is_standing_still),
    (QueueVerdict.SLOW, _is_slow),
    (QueueVerdict.CONSUMED, _always),
)
