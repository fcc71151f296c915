"""What is to be said of a worker and of a queue: ordered rules, of which the last always holds.

The contents of the states ``worker:NODE``, ``queue:QUEUE``, ``host:HOST`` and ``workers`` are made in
`monitor.policy.workers.outcomes`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from monitor.agent.capacity import executes_beside_loop, is_dear, is_full, is_holding_back, is_known_pool, overlong
from monitor.agent.protocol import Beacon
from monitor.config.settings import WorkerSettings
from monitor.model.checks import QueueVerdict, WorkerVerdict
from monitor.ports.workers import ExecutedHeartbeat

OVERDUE_INTERVALS = 1.25
"""A heartbeat is overdue when it waits longer: one sent a moment after a fault is, within 2.25 intervals of it."""

ALIVE_INTERVALS = 0.5
"""And a beacon must be that much younger than the heartbeat: else the worker may be gone, not wedged."""

EXPENSIVE_OVERDUE_INTERVALS = 5.0
"""Where each heartbeat costs a process of the pool, a new one has to start first."""

FRESH_INTERVALS = 2.0
START_INTERVALS = 3.0
PROGRESS_INTERVALS = 2.0
"""A worker that has executed a heartbeat or finished a task within this time consumes."""

WORK_INTERVALS = 1.5
"""The same for what a beacon has counted: it is half an interval after the one before, or a little more."""


SERVING = frozenset({WorkerVerdict.STARTING, WorkerVerdict.CONSUMING, WorkerVerdict.BUSY})
"""Workers of which a queue may expect something."""

ABSENT = frozenset({WorkerVerdict.LOST, WorkerVerdict.SILENT})
"""Workers that are gone without a goodbye, as far as it is known."""


class WorkerReason(StrEnum):
    """Reason codes of a worker's check that are no verdict."""

    FORGOTTEN = "forgotten"
    SLOTS_STUCK = "slots_stuck"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class WorkerObservation:
    """What is known of a worker at one moment. Ages are in seconds by the store's clock.

    ``beacon_age`` counts from when beacons could be written, if that is later than the beacon; ``unseen_seconds`` is
    the beacon's true age. ``worked_seconds``: since a beacon said that one more task, heartbeats included, was
    finished; None when none did.
    ``waiting_seconds`` is the age of the oldest direct heartbeat that is waited for: sent after
    the newest executed one, after the worker's start, and with nothing amiss on our side since; None when the worker
    does not consume its own queue, and is judged without heartbeats. ``connected`` is None when there is no way to
    tell.
    """

    beacon: Beacon
    beacon_age: float
    unseen_seconds: float
    seen_at: float
    executed: ExecutedHeartbeat | None = None
    waiting_seconds: float | None = None
    connected: bool | None = None
    worked_seconds: float | None = None

    @property
    def started_at(self) -> float:
        """When it was ready to consume."""
        return self.seen_at - self.beacon.up_seconds

    @property
    def has_executed(self) -> bool:
        """Whether it has executed a direct heartbeat since it started."""
        return self.executed is not None and self.executed.done_at >= self.started_at - 1.0

    @property
    def is_judged_by_heartbeats(self) -> bool:
        """Whether heartbeats tell something about it: not when it gets none, nor when its pool may not execute any."""
        return self.beacon.direct and (is_known_pool(self.beacon) or self.has_executed)

    @property
    def executed_seconds(self) -> float | None:
        """Since it executed the newest of its own heartbeats; None when it has executed none."""
        if self.executed is None or not self.has_executed:
            return None
        return max(0.0, self.seen_at + self.unseen_seconds - self.executed.done_at)


@dataclass(frozen=True, slots=True)
class QueueObservation:
    """What is known of an expected queue at one moment. Ages are in seconds by the store's clock.

    ``unserved_seconds``: since a worker that declares it was last known to consume, to be busy, or to start.
    ``left_seconds``: since the last worker that served it said goodbye; None when no goodbye ended its service.
    ``may_rest``: whether it is in ``workers.may_rest``. ``untaken_seconds``: for how long a message that is not ours
    has waited and none was taken; None when none waits, or when it is not known.
    ``waiting_seconds``: the age of the oldest queue heartbeat that is waited for. ``head_seconds``: for how long the
    message that is taken next has been the same; None when none waits, or it is not known. ``workers``: the verdicts
    of those who declare it.
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
    """The verdict of the first rule that holds."""
    return next(verdict for verdict, holds in _WORKER_RULES if holds(worker, settings))


def queue_verdict(queue: QueueObservation, settings: WorkerSettings) -> QueueVerdict:
    """The verdict of the first rule that holds."""
    return next(verdict for verdict, holds in _QUEUE_RULES if holds(queue, settings))


def slots_stuck(beacon: Beacon, settings: WorkerSettings) -> int:
    """Return how many slots execute nothing, or a task that runs longer than it may."""
    return min(beacon.slots, beacon.stalled + overlong(beacon, settings))


def is_forgotten(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    """Whether nothing has been heard of it for so long that it is no alarm any more."""
    return worker.unseen_seconds > settings.forget_lost_after_seconds


def is_expired(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    """Whether it is not to be shown any more."""
    lost = 0.0 if worker.beacon.leaving else settings.forget_lost_after_seconds
    return worker.unseen_seconds > lost + settings.forget_after_seconds


def has_fresh_beacon(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    """Whether its beacon is fresh."""
    return worker.beacon_age <= FRESH_INTERVALS * settings.interval_seconds


def served_until(worker: WorkerObservation, verdict: WorkerVerdict, now: float) -> float | None:
    """Until when the worker is known to have served its queues: its newest beacon, or the first heartbeat unanswered.

    None when it does not serve them. What it has finished since that heartbeat was sent counts, too. Where processes
    are dear, a heartbeat that waits says nothing yet.
    """
    if verdict is WorkerVerdict.CONSUMING and worker.waiting_seconds is not None and not is_dear(worker.beacon):
        ages = (worker.waiting_seconds, worker.executed_seconds, worker.worked_seconds)
        return min(worker.seen_at, now - min(age for age in ages if age is not None))
    return worker.seen_at if verdict in SERVING else None


def _is_retired(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    return worker.beacon.leaving or is_forgotten(worker, settings)


def _is_silent(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    return not has_fresh_beacon(worker, settings) and worker.connected is None


def _is_lost(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    return not has_fresh_beacon(worker, settings) and not worker.connected


def _is_stopped(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    return not has_fresh_beacon(worker, settings)


def _is_starting(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    young = worker.beacon.up_seconds < START_INTERVALS * settings.interval_seconds
    never_sent_any = worker.beacon.direct and not _is_overdue(worker, settings)
    return not worker.has_executed and (young or never_sent_any)


def _is_consuming(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    if _is_progressing(worker, settings):
        return True
    if worker.is_judged_by_heartbeats:
        return not _is_overdue(worker, settings)
    return not (_is_spinning(worker, settings) or _is_busy(worker, settings))


def _is_progressing(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    """Return whether it has lately finished anything, however late that was."""
    ages = ((worker.executed_seconds, PROGRESS_INTERVALS), (worker.worked_seconds, WORK_INTERVALS))
    return any(age is not None and age <= intervals * settings.interval_seconds for age, intervals in ages)


def _is_spinning(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    beacon = worker.beacon
    occupied = not executes_beside_loop(beacon) and beacon.active_count > 0  # its tasks run in the loop
    # The loop is to tick every second. Heartbeats are overdue already, so less than their 2 intervals is enough.
    excused = occupied or not beacon.connected  # while it looks for a broker, its loop waits: that is wedged
    return not excused and (beacon.loop_lag_seconds or 0.0) > max(2.0, settings.interval_seconds)


def _is_stuck(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    # A beacon lists the oldest tasks: those that it leaves out are taken to be as the others.
    listed = worker.beacon.active
    return is_full(worker.beacon) and bool(listed) and overlong(worker.beacon, settings) == len(listed)


def _is_busy(worker: WorkerObservation, settings: WorkerSettings) -> bool:  # noqa: ARG001 - rules have one signature
    return is_full(worker.beacon) or is_holding_back(worker.beacon)


def _is_overdue(worker: WorkerObservation, settings: WorkerSettings) -> bool:
    interval = settings.interval_seconds
    if worker.waiting_seconds is None:
        return False
    limit = EXPENSIVE_OVERDUE_INTERVALS if is_dear(worker.beacon) else OVERDUE_INTERVALS
    alive_for = worker.waiting_seconds - worker.unseen_seconds
    return worker.waiting_seconds >= limit * interval and alive_for >= ALIVE_INTERVALS * interval


def _always(*_: object) -> bool:
    return True


_WORKER_RULES: tuple[tuple[WorkerVerdict, Callable[[WorkerObservation, WorkerSettings], bool]], ...] = (
    (WorkerVerdict.RETIRED, _is_retired),
    (WorkerVerdict.SILENT, _is_silent),
    (WorkerVerdict.LOST, _is_lost),
    (WorkerVerdict.FROZEN, _is_stopped),
    (WorkerVerdict.STARTING, _is_starting),
    (WorkerVerdict.CONSUMING, _is_consuming),
    (WorkerVerdict.FROZEN, _is_spinning),
    (WorkerVerdict.STUCK, _is_stuck),
    (WorkerVerdict.BUSY, _is_busy),
    (WorkerVerdict.WEDGED, _always),
)


def _is_resting(queue: QueueObservation, settings: WorkerSettings) -> bool:
    if queue.may_rest:
        waited = queue.untaken_seconds is not None and queue.untaken_seconds >= settings.return_within_seconds
        return ABSENT.issuperset(queue.workers) and not waited
    left = queue.left_seconds
    return not queue.workers and left is not None and left <= settings.return_within_seconds


def _is_unserved(queue: QueueObservation, settings: WorkerSettings) -> bool:
    nobody = bool(queue.workers) and not SERVING.intersection(queue.workers)
    return nobody or queue.unserved_seconds > 2 * settings.interval_seconds


def _is_standing(queue: QueueObservation, settings: WorkerSettings) -> bool:
    interval = settings.interval_seconds
    if set(queue.workers) == {WorkerVerdict.BUSY}:
        return False
    # The head is looked at once a heartbeat waits, which is half an interval after it was sent.
    overdue = (queue.waiting_seconds or 0.0) >= OVERDUE_INTERVALS * interval
    return overdue and (queue.head_seconds or 0.0) >= 1.5 * interval


def _is_slow(queue: QueueObservation, settings: WorkerSettings) -> bool:
    if queue.withheld:
        return False  # the newest heartbeats are of long ago
    # What waits is old, or the newest that was executed was; an empty queue has swallowed what never came back.
    waiting = queue.waiting_seconds or 0.0 if queue.pending else 0.0
    took = queue.executed.done_at - queue.executed.sent_at if queue.executed else 0.0
    return max(waiting, took) > settings.slow_after_seconds


_QUEUE_RULES: tuple[tuple[QueueVerdict, Callable[[QueueObservation, WorkerSettings], bool]], ...] = (
    (QueueVerdict.RESTING, _is_resting),
    (QueueVerdict.UNCONSUMED, _is_unserved),
    (QueueVerdict.UNCONSUMED, _is_standing),
    (QueueVerdict.SLOW, _is_slow),
    (QueueVerdict.CONSUMED, _always),
)
