"""Rules for the verdicts of workers and queues. The rules are in order: the first rule that holds gives the verdict.

`monitor.policy.workers.outcomes` makes outcomes from verdicts. The names of constants end in ``INTERVALS`` when their
unit is the setting ``workers.interval``.
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
"""At this age an unanswered heartbeat is overdue.

Heartbeats are sent once in an interval. So a fault is noticed at most 2.25 intervals after it began.
"""

ALIVE_INTERVALS = 0.5
"""An unanswered heartbeat is overdue only if the worker wrote a beacon at least this long after the sending.

Without such a beacon, the worker may have ended before it received the heartbeat.
"""

EXPENSIVE_OVERDUE_INTERVALS = 5.0
"""As `OVERDUE_INTERVALS`, for pools in which each heartbeat uses up a process: the next process has to start first."""

FRESH_INTERVALS = 2.0
"""A beacon that is older than this is overdue."""

START_INTERVALS = 3.0
"""For this time after its start, a worker may have executed no heartbeat yet."""

PROGRESS_INTERVALS = 2.0
"""For this time after it executed a direct heartbeat, a worker is consuming."""

WORK_INTERVALS = 1.5
"""For this time after a beacon that counts more finished tasks than the last one, a worker is consuming.

Beacons are half an interval apart, or a little more.
"""

SERVING = frozenset({WorkerVerdict.STARTING, WorkerVerdict.CONSUMING, WorkerVerdict.BUSY})
"""Verdicts of workers that serve their queues."""

ABSENT = frozenset({WorkerVerdict.LOST, WorkerVerdict.SILENT})
"""Verdicts of workers that probably ended without a goodbye."""


class WorkerReason(StrEnum):
    """Reason codes of a worker's check that are not verdicts."""

    FORGOTTEN = "forgotten"
    SLOTS_STUCK = "slots_stuck"
    DUPLICATE = "duplicate"
    OUTDATED = "outdated"


@dataclass(frozen=True, slots=True)
class WorkerObservation:
    """Facts about one worker at one moment. Times and ages are in seconds, by the store's clock.

    - ``silence_seconds``: age of the newest beacon. After a later failure of the store: the time since the failure.
    - ``beacon_age_seconds``: age of the newest beacon.
    - ``beacon_at``: time of the newest beacon.
    - ``executed``: the newest executed direct heartbeat.
    - ``unanswered_seconds``: age of the oldest unanswered direct heartbeat. Heartbeats from before the worker's start,
      and from before a failure of the store or the broker, are not counted. None when no heartbeat is unanswered, or
      when the worker is judged without heartbeats because it does not consume its own queue.
    - ``connected``: whether the worker is connected to the store. None when the store does not report that.
    - ``worked_seconds``: age of the newest beacon that counted more finished tasks (heartbeats included) than the
      beacon before. None when there is no such beacon.
    """

    beacon: Beacon
    silence_seconds: float
    beacon_age_seconds: float
    beacon_at: float
    executed: ExecutedHeartbeat | None = None
    unanswered_seconds: float | None = None
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
        """True if the worker gets direct heartbeats, and its pool is known to execute heartbeats."""
        return self.beacon.direct and (is_known_pool(self.beacon) or self.has_executed)

    @property
    def executed_seconds(self) -> float | None:
        """Time since the worker last executed a direct heartbeat. None when it has executed none since its start."""
        if self.executed is None or not self.has_executed:
            return None
        return max(0.0, self.beacon_at + self.beacon_age_seconds - self.executed.done_at)


@dataclass(frozen=True, slots=True)
class QueueObservation:
    """Facts about one expected queue at one moment. Ages are in seconds, by the store's clock.

    - ``unserved_seconds``: time since a worker last served the queue. A worker serves its queues when its verdict is
      ``consuming``, ``busy`` or ``starting``.
    - ``workers``: the verdicts of the workers that declare the queue.
    - ``executed``: the newest heartbeat that was executed from the queue.
    - ``unanswered_seconds``: age of the oldest unanswered heartbeat in the queue.
    - ``head_seconds``: time for which the same message has been at the head of the queue. None when no message waits,
      or when the head is not known.
    - ``pending``: number of waiting messages. None when the broker did not answer.
    - ``withheld``: whether the queue gets no heartbeats.
    - ``left_seconds``: time since the goodbye of the last worker that served the queue. None when a worker serves the
      queue, or when the last one ended without a goodbye.
    - ``may_rest``: whether the name of the queue matches ``workers.may_rest``.
    - ``untaken_seconds``: time for which a message other than a heartbeat has waited while no message was taken from
      the queue. None when no such message waits, or when this is not known.
    """

    name: str
    unserved_seconds: float
    workers: tuple[WorkerVerdict, ...] = ()
    executed: ExecutedHeartbeat | None = None
    unanswered_seconds: float | None = None
    head_seconds: float | None = None
    pending: int | None = None
    withheld: bool = False
    left_seconds: float | None = None
    may_rest: bool = False
    untaken_seconds: float | None = None


def worker_verdict(worker: WorkerObservation, settings: WorkerSettings) -> WorkerVerdict:
    """Return the verdict of a worker: that of the first rule that holds."""
    return next(verdict for verdict, holds in _WORKER_RULES if holds(worker, settings))


def queue_verdict(queue: QueueObservation, settings: WorkerSettings) -> QueueVerdict:
    """Return the verdict of a queue: that of the first rule that holds."""
    return next(verdict for verdict, holds in _QUEUE_RULES if holds(queue, settings))


def slots_stuck(beacon: Beacon, settings: WorkerSettings) -> int:
    """Return the number of stuck slots: slots that execute nothing, or a task for longer than ``stuck_after``."""
    return min(beacon.slots, beacon.stalled + overlong(beacon, settings))


def is_forgotten(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    """Return whether the beacon is older than ``forget_lost_after``: a lost worker is no error after that."""
    return worker.beacon_age_seconds > settings.forget_lost_after_seconds


def is_expired(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    """Return whether the worker is to be forgotten.

    This is ``forget_after`` after its goodbye, or after it was lost for ``forget_lost_after``.
    """
    error_seconds = 0.0 if worker.beacon.leaving else settings.forget_lost_after_seconds
    return worker.beacon_age_seconds > error_seconds + settings.forget_after_seconds


def has_fresh_beacon(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    """Return whether the newest beacon is not overdue."""
    return worker.silence_seconds <= FRESH_INTERVALS * settings.interval_seconds


def served_until(worker: WorkerObservation, verdict: WorkerVerdict, now: float) -> float | None:
    """Return the last time at which the worker is known to have served its queues. None when it does not serve them.

    Usually this is the time of the newest beacon. If the worker is consuming and a direct heartbeat is unanswered, it
    is the latest of three times, but not later than the beacon: the heartbeat was sent, the last heartbeat was
    executed, the last task was finished. This does not apply to pools in which a heartbeat uses up a process, because
    there a heartbeat may wait for the next process.
    """
    if verdict is WorkerVerdict.CONSUMING and worker.unanswered_seconds is not None and not is_costly(worker.beacon):
        ages = (worker.unanswered_seconds, worker.executed_seconds, worker.worked_seconds)
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
    """Return whether the worker has just finished a heartbeat or a task, even if that was overdue."""
    ages = ((worker.executed_seconds, PROGRESS_INTERVALS), (worker.worked_seconds, WORK_INTERVALS))
    return any(age is not None and age <= intervals * settings.interval_seconds for age, intervals in ages)


def _is_loop_blocked(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    beacon = worker.beacon
    is_occupied = not executes_beside_loop(beacon) and beacon.active_count > 0  # its tasks run in the loop
    # A worker that searches for its broker also blocks its loop. The verdict of such a worker is `wedged`.
    may_block = is_occupied or not beacon.connected
    # The loop ticks every second. When this rule is reached, heartbeats are overdue already: a short lag is enough.
    return not may_block and (beacon.loop_lag_seconds or 0.0) > max(2.0, settings.interval_seconds)


def _is_stuck(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    # A beacon lists only the oldest tasks. The rule assumes that the tasks that are not listed exceed their limits too.
    listed = worker.beacon.active
    return is_full(worker.beacon) and bool(listed) and overlong(worker.beacon, settings) == len(listed)


def _is_busy(worker: WorkerObservation, settings: WorkerSettings) -> bool:  # noqa: ARG001 - rules have one signature
    return is_full(worker.beacon) or is_holding_back(worker.beacon)


def _is_overdue(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    interval = settings.interval_seconds
    if worker.unanswered_seconds is None:
        return False
    limit = EXPENSIVE_OVERDUE_INTERVALS if is_costly(worker.beacon) else OVERDUE_INTERVALS
    alive_seconds = worker.unanswered_seconds - worker.beacon_age_seconds  # from the heartbeat to the newest beacon
    return worker.unanswered_seconds >= limit * interval and alive_seconds >= ALIVE_INTERVALS * interval


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
        has_work = queue.untaken_seconds is not None and queue.untaken_seconds >= settings.return_within_seconds
        return ABSENT.issuperset(queue.workers) and not has_work
    left_seconds = queue.left_seconds
    return not queue.workers and left_seconds is not None and left_seconds <= settings.return_within_seconds


def _is_unserved(queue: QueueObservation, settings: WorkerSettings) -> bool:
    none_serves = bool(queue.workers) and not SERVING.intersection(queue.workers)
    return none_serves or queue.unserved_seconds > 2 * settings.interval_seconds


def _is_standing_still(queue: QueueObservation, settings: WorkerSettings) -> bool:
    interval = settings.interval_seconds
    # All slots of a busy worker are taken, and a worker that starts consumes nothing yet. So no message can move.
    # Workers that only start do not excuse the queue: a worker that crashes at each start is always starting.
    if WorkerVerdict.BUSY in queue.workers and WorkerVerdict.CONSUMING not in queue.workers:
        return False
    # The head is read only while a heartbeat is unanswered. The first read is in the round after the sending, half an
    # interval later. So `head_seconds` is smaller than the age of the heartbeat.
    is_overdue = (queue.unanswered_seconds or 0.0) >= OVERDUE_INTERVALS * interval
    return is_overdue and (queue.head_seconds or 0.0) >= 1.5 * interval


def _is_slow(queue: QueueObservation, settings: WorkerSettings) -> bool:
    if queue.withheld:
        return False  # it gets no heartbeats, so the newest executed one is old
    # If the queue is empty, an unanswered heartbeat does not wait in it: it was lost.
    waiting_seconds = queue.unanswered_seconds or 0.0 if queue.pending else 0.0
    latency_seconds = queue.executed.done_at - queue.executed.sent_at if queue.executed else 0.0
    return max(waiting_seconds, latency_seconds) > settings.slow_after_seconds


_QUEUE_RULES: tuple[tuple[QueueVerdict, Callable[[QueueObservation, WorkerSettings], bool]], ...] = (
    (QueueVerdict.RESTING, _is_resting),
    (QueueVerdict.UNCONSUMED, _is_unserved),
    (QueueVerdict.UNCONSUMED, _is_standing_still),
    (QueueVerdict.SLOW, _is_slow),
    (QueueVerdict.CONSUMED, _always),
)
