"""Rules of ``monitor probe worker``: would a restart help this worker, given its last liveness sample?

This module is pure and imports nothing. The probe starts every few seconds in every container, and importing `typing`
or `dataclasses` alone would use a third of its time budget.
"""

OFF, STARTING, RUNNING, LEAVING = "off", "starting", "running", "leaving"

CONCURRENT_POOLS = ("prefork", "threads", "gevent", "eventlet")
"""Pools that run tasks beside the worker's loop. Solo runs them in the loop; of unknown pools this is not known."""

LATE_AFTER_INTERVALS = 3
COSTLY_LATE_AFTER_INTERVALS = 6
LATE_AFTER_AT_LEAST_SECONDS = 5.0
"""Lower limit of the time after which something is late, so that a busy machine causes no restart."""

RECONNECT_SECONDS = 40.0
"""Time that a worker needs to reconnect: Celery waits up to 30 s between attempts, and its loop stops meanwhile."""


class LivenessSample:
    """A worker's state for the liveness probe. The agent writes one with each beacon, also if the beacon fails.

    phase: ``starting`` before the worker is ready to consume, ``leaving`` from its goodbye on, else ``running``;
    ``off`` if its settings switch the agent off.
    interval_seconds: longest time between two samples. up_seconds: time since the worker was ready.
    slots, active, reserved: numbers of tasks that it can execute, executes, and has taken in advance.
    taken: a task occupies every slot that is not stalled. stuck: and each of these tasks exceeds its ``stuck_after``.
    holding_back: the prefetch limit is used up by tasks that may not start yet (rate limits, ETAs).
    judged: heartbeats are meaningful; False for an unknown pool that has never executed one.
    dear: heartbeats are costly, because the pool replaces its processes after a few tasks.
    loop_lag_seconds: delay of the consumer's timer, which ticks every second; None while it is not connected.
    executed_age_seconds: age of the newest executed direct heartbeat since it was sent; None before the first.
    unanswered_seconds: time that a direct heartbeat has been waiting for its execution; 0 if none waits.
    idle_seconds: time since the worker last executed any task.
    store_answers, broker_reachable: results of the agent's own connections.
    recovered_seconds: time since an outage of the store or the broker ended; None if there was none.
    The last four times come from :class:`monitor.agent.progress.HeartbeatProgress`.
    The names are also those in the sample's file.
    """

    __slots__ = (
        "active",
        "broker_reachable",
        "dear",
        "executed_age_seconds",
        "holding_back",
        "idle_seconds",
        "interval_seconds",
        "judged",
        "loop_lag_seconds",
        "phase",
        "pool",
        "recovered_seconds",
        "reserved",
        "slots",
        "store_answers",
        "stuck",
        "taken",
        "unanswered_seconds",
        "up_seconds",
    )

    def __init__(
        self,
        *,
        phase: str,
        interval_seconds: float,
        pool: str = "",
        up_seconds: float = 0.0,
        slots: int = 0,
        active: int = 0,
        reserved: int = 0,
        taken: bool = False,
        stuck: bool = False,
        holding_back: bool = False,
        judged: bool = True,
        dear: bool = False,
        loop_lag_seconds: float | None = None,
        executed_age_seconds: float | None = None,
        unanswered_seconds: float = 0.0,
        idle_seconds: float = 0.0,
        store_answers: bool = False,
        broker_reachable: bool = False,
        recovered_seconds: float | None = None,
    ) -> None:
        self.phase = phase
        self.interval_seconds = interval_seconds
        self.pool = pool
        self.up_seconds = up_seconds
        self.slots = slots
        self.active = active
        self.reserved = reserved
        self.taken = taken
        self.stuck = stuck
        self.holding_back = holding_back
        self.judged = judged
        self.dear = dear
        self.loop_lag_seconds = loop_lag_seconds
        self.executed_age_seconds = executed_age_seconds
        self.unanswered_seconds = unanswered_seconds
        self.idle_seconds = idle_seconds
        self.store_answers = store_answers
        self.broker_reachable = broker_reachable
        self.recovered_seconds = recovered_seconds

    @property
    def late_after_seconds(self) -> float:
        """Return the time after which the process or its loop counts as stopped."""
        return max(LATE_AFTER_INTERVALS * self.interval_seconds, LATE_AFTER_AT_LEAST_SECONDS)

    @property
    def unanswered_after_seconds(self) -> float:
        """Return the time within which a heartbeat must be executed."""
        intervals = COSTLY_LATE_AFTER_INTERVALS if self.dear else LATE_AFTER_INTERVALS
        return max(intervals * self.interval_seconds, self.late_after_seconds)

    @property
    def executes_in_loop(self) -> bool:
        """Return whether a task runs inside the loop, as in solo, so that the loop does not turn."""
        return self.pool not in CONCURRENT_POOLS and self.active > 0


def judge(sample: LivenessSample, age_seconds: float) -> tuple[bool, str]:
    """Return whether the worker is alive, and the reason in a few words. ``age_seconds`` is the age of the sample.

    The caller has checked that the process exists. A worker is not alive only if a restart would help: its process is
    stopped, its loop is stopped, or its pool executes nothing although slots are free and work waits. An outage of
    another service never makes it not alive.
    """
    for rule in _RULES:
        if (found := rule(sample, age_seconds)) is not None:
            return found
    if sample.executed_age_seconds is None:
        return True, "has been sent no heartbeat"
    return True, f"has executed a heartbeat sent {sample.executed_age_seconds:.0f} s ago"


def _starting_or_leaving(sample: LivenessSample, age_seconds: float) -> tuple[bool, str] | None:
    if sample.phase == LEAVING:
        return True, "is shutting down"
    if sample.phase == OFF:
        return True, "is not judged: its agent is switched off, or has no store (MONITOR_REDIS_URL)"
    return (True, "is starting") if sample.phase == STARTING else None


def _process_stopped(sample: LivenessSample, age_seconds: float) -> tuple[bool, str] | None:
    if age_seconds > sample.late_after_seconds:
        return False, f"is stopped: has written nothing for {age_seconds:.0f} s"
    return None


def _just_started(sample: LivenessSample, age_seconds: float) -> tuple[bool, str] | None:
    return (True, "has just started") if sample.up_seconds < sample.late_after_seconds else None


def _unreachable(sample: LivenessSample, age_seconds: float) -> tuple[bool, str] | None:
    if not sample.broker_reachable:
        return True, "is not judged: its broker does not answer"
    if not sample.store_answers:
        return True, "is not judged: the monitor's store does not answer"
    back = sample.recovered_seconds
    if back is not None and back < max(sample.late_after_seconds, RECONNECT_SECONDS):
        return True, f"is not judged: its broker or the monitor's store was unreachable until {back:.0f} s ago"
    return None


def _loop_frozen(sample: LivenessSample, age_seconds: float) -> tuple[bool, str] | None:
    lag = sample.loop_lag_seconds
    if lag is not None and lag > sample.late_after_seconds and not sample.executes_in_loop:
        return False, f"is frozen: its event loop has not turned for {lag:.0f} s"
    return None


def _slots_taken(sample: LivenessSample, age_seconds: float) -> tuple[bool, str] | None:
    if not (sample.executes_in_loop or sample.taken):
        return None
    if sample.stuck and sample.unanswered_seconds > sample.unanswered_after_seconds:
        return False, f"is stuck: its tasks run too long in {_slots(sample)}, and {_waits(sample)}"
    return True, f"is busy: {_slots(sample)}"


def _not_judged(sample: LivenessSample, age_seconds: float) -> tuple[bool, str] | None:
    if sample.holding_back:
        return True, f"holds back tasks that may not start yet (rate limits, ETAs): {_slots(sample)}"
    if not sample.judged:
        return True, "is not judged by heartbeats: its pool is not one of Celery's, and has never executed a heartbeat"
    return None


def _wedged(sample: LivenessSample, age_seconds: float) -> tuple[bool, str] | None:
    if min(sample.unanswered_seconds, sample.idle_seconds) > sample.unanswered_after_seconds:
        return False, f"is wedged: {_waits(sample)}, nothing is executed, {_slots(sample)}"
    return None


_RULES = (
    _starting_or_leaving,
    _process_stopped,
    _just_started,
    _unreachable,
    _loop_frozen,
    _slots_taken,
    _not_judged,
    _wedged,
)
"""The rules in order. The first one that returns a verdict decides."""


def _slots(sample: LivenessSample) -> str:
    return f"{sample.active} of {sample.slots} slots taken, {sample.reserved} reserved"


def _waits(sample: LivenessSample) -> str:
    return f"a heartbeat has been waiting for {sample.unanswered_seconds:.0f} s"
