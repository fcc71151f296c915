"""Rules of ``monitor probe worker``: would a restart help this worker, given its last liveness sample?

The rules have no side effects, and this module imports nothing. The probe starts every few seconds in every container,
and importing `typing` or `dataclasses` alone would use a third of its time budget.
"""

OFF, STARTING, RUNNING, LEAVING = "off", "starting", "running", "leaving"

CONCURRENT_POOLS = ("prefork", "threads", "gevent", "eventlet")
"""Pools whose tasks run beside the worker's event loop. A solo pool runs them in the loop, an unknown pool may, too."""

LATE_AFTER_INTERVALS = 3
"""After this number of intervals, a missing sample, a loop that does not turn or a waiting heartbeat is a fault."""
COSTLY_LATE_AFTER_INTERVALS = 6
"""After this number of intervals, a waiting heartbeat is a fault if heartbeats are costly."""
LATE_AFTER_AT_LEAST_SECONDS = 5.0
"""Lower limit of both times in seconds, so that a busy machine causes no restart."""

RECONNECT_SECONDS = 40.0
"""Time that a worker may need to reconnect. Celery waits up to 30 s between attempts, and its loop stops meanwhile."""


class LivenessSample:
    """A worker's state for the liveness probe. The agent writes a sample with each beacon, also if the beacon fails.

    The file of the sample contains these names:

    - phase: ``starting`` before the worker is ready to consume, ``leaving`` from its goodbye on, else ``running``.
      ``off`` if the settings switch the agent off or give it no store.
    - interval_seconds: the setting ``workers.interval``. Two samples are written in each interval.
    - up_seconds: time since the worker was ready to consume.
    - slots: number of tasks that the worker can execute at once.
    - active, reserved: numbers of tasks that the worker executes, and has taken in advance.
    - taken: true if all slots that are not stalled are occupied.
    - stuck: true if ``taken`` is true and each of the tasks in the slots exceeds its ``stuck_after``.
    - holding_back: true if the prefetch limit is used up by tasks that may not start yet (rate limits, ETAs).
    - judged: false for an unknown pool that has never executed a heartbeat. Its heartbeats prove nothing.
    - dear: true if heartbeats are costly, because the pool replaces its processes after a few tasks.
    - loop_lag_seconds: delay of the consumer's timer, which ticks every second. None while the consumer is not
      connected to the broker.
    - store_answers: true if the agent's connection to the store works.
    - broker_reachable: true if the broker can be reached (`monitor.agent.reachability`).
    - executed_age_seconds, unanswered_seconds, idle_seconds, recovered_seconds: attributes of
      :class:`monitor.agent.progress.HeartbeatProgress`.
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
        """Return the time without a sample, or without a turn of the loop, after which the worker is not alive."""
        return max(LATE_AFTER_INTERVALS * self.interval_seconds, LATE_AFTER_AT_LEAST_SECONDS)

    @property
    def unanswered_after_seconds(self) -> float:
        """Return the time after which a heartbeat that waits makes the worker not alive."""
        intervals = COSTLY_LATE_AFTER_INTERVALS if self.dear else LATE_AFTER_INTERVALS
        return max(intervals * self.interval_seconds, self.late_after_seconds)

    @property
    def executes_in_loop(self) -> bool:
        """Return whether a task runs in the event loop, as in solo. The loop does not turn meanwhile."""
        return self.pool not in CONCURRENT_POOLS and self.active > 0


def judge(sample: LivenessSample, age_seconds: float) -> tuple[bool, str]:
    """Return whether the worker is alive, and the reason in a few words. ``age_seconds`` is the age of the sample.

    The process must exist. The worker is not alive if a restart would help:

    - Its process is stopped, or its event loop does not turn.
    - All slots hold tasks that run too long, and a heartbeat waits.
    - Its pool executes nothing, although slots are free and a heartbeat waits.

    During an outage of the broker or the store, the worker is alive unless its process is stopped.
    """
    for rule in _RULES:
        if (result := rule(sample, age_seconds)) is not None:
            return result
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
    recovered = sample.recovered_seconds
    if recovered is not None and recovered < max(sample.late_after_seconds, RECONNECT_SECONDS):
        return True, f"is not judged: its broker or the monitor's store was unreachable until {recovered:.0f} s ago"
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
        return False, f"is stuck: its tasks run too long in {_slot_counts(sample)}, and {_waiting_text(sample)}"
    return True, f"is busy: {_slot_counts(sample)}"


def _not_judged(sample: LivenessSample, age_seconds: float) -> tuple[bool, str] | None:
    if sample.holding_back:
        return True, f"holds back tasks that may not start yet (rate limits, ETAs): {_slot_counts(sample)}"
    if not sample.judged:
        return True, "is not judged by heartbeats: its pool is not one of Celery's, and has never executed a heartbeat"
    return None


def _wedged(sample: LivenessSample, age_seconds: float) -> tuple[bool, str] | None:
    if min(sample.unanswered_seconds, sample.idle_seconds) > sample.unanswered_after_seconds:
        return False, f"is wedged: {_waiting_text(sample)}, nothing is executed, {_slot_counts(sample)}"
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
"""The rules in order. The first result that is not None is used."""


def _slot_counts(sample: LivenessSample) -> str:
    return f"{sample.active} of {sample.slots} slots taken, {sample.reserved} reserved"


def _waiting_text(sample: LivenessSample) -> str:
    return f"a heartbeat has been waiting for {sample.unanswered_seconds:.0f} s"
