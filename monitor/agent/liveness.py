"""Would a restart help this worker? What its beacon thread last wrote down, judged by ``monitor probe worker``.

Pure, and nothing is imported here: the probe starts every few seconds in every container, and `typing` or `dataclasses`
alone would cost a third of what it may cost.
"""

OFF, STARTING, RUNNING, LEAVING = "off", "starting", "running", "leaving"

CONCURRENT_POOLS = ("prefork", "threads", "gevent", "eventlet")
"""Pools whose tasks leave the worker's loop free. Those of solo do not, and those of unknown pools may not."""

LATE_AFTER_INTERVALS = 3
DEAR_LATE_AFTER_INTERVALS = 6
LATE_AFTER_AT_LEAST_SECONDS = 5.0
"""A machine that is busy for a moment is no reason to restart anything."""

RECONNECT_SECONDS = 40.0
"""Celery waits up to 30 s between two attempts to reach a broker that was away; its loop does not turn meanwhile."""


class LivenessSample:
    """What a worker's liveness is judged by. Written by the agent, with each beacon and also when that cannot be sent.

    phase: ``starting`` before it is ready to consume, ``leaving`` from its goodbye on, else ``running``; ``off`` when
    the agent does nothing, by its settings.
    interval_seconds: time between two pulses, at most. up_seconds: since it was ready.
    slots, active, reserved: how many tasks it can execute, executes, and has taken in advance.
    taken: every slot that works is taken. stuck: that, each by a task that runs longer than its ``stuck_after``.
    holding_back: tasks that may not begin yet (rate limits, ETAs) keep it from taking others.
    judged: heartbeats tell something about it; not so in an unknown pool that has never executed one.
    dear: a heartbeat costs it a process of its pool, which takes its time.
    loop_lag_seconds: since the consumer's timer last ticked; None where there is no such loop.
    executed_age_seconds: since the newest direct heartbeat that was executed had been sent; None before the first.
    unanswered_seconds: how long a direct heartbeat has been waiting to be executed; 0 when none does.
    idle_seconds: since it last executed any task. store_answers, broker_reachable: as the agent sees them.
    recovered_seconds: since one of the two was away; None when that never was.
    The last three ages come from :class:`monitor.agent.progress.HeartbeatProgress`.
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
        """What takes longer than this is not merely slow."""
        return max(LATE_AFTER_INTERVALS * self.interval_seconds, LATE_AFTER_AT_LEAST_SECONDS)

    @property
    def unanswered_after_seconds(self) -> float:
        """What a heartbeat may take to be executed."""
        intervals = DEAR_LATE_AFTER_INTERVALS if self.dear else LATE_AFTER_INTERVALS
        return max(intervals * self.interval_seconds, self.late_after_seconds)

    @property
    def executes_in_loop(self) -> bool:
        """Whether its loop rightly stands still: a pool like solo executes a task in it."""
        return self.pool not in CONCURRENT_POOLS and self.active > 0


def judge(pulse: LivenessSample, age_seconds: float) -> tuple[bool, str]:
    """Whether the worker is alive, and why in a few words; ``age_seconds`` since it wrote the pulse.

    The process exists, that was looked at. Not alive only where a restart would help: the process stands still, or its
    loop does, or its pool executes nothing although it could and work is waiting. Never for what others lack.
    """
    for rule in (
        _starting_or_leaving,
        _process_stopped,
        _just_started,
        _unreachable,
        _loop_frozen,
        _slots_taken,
        _not_judged,
        _wedged,
    ):
        if (found := rule(pulse, age_seconds)) is not None:
            return found
    if pulse.executed_age_seconds is None:
        return True, "has been sent no heartbeat"
    return True, f"has executed a heartbeat sent {pulse.executed_age_seconds:.0f} s ago"


def _starting_or_leaving(pulse: LivenessSample, age_seconds: float) -> tuple[bool, str] | None:
    if pulse.phase == LEAVING:
        return True, "is shutting down"
    if pulse.phase == OFF:
        return True, "is not judged: its agent is switched off, or does not know the monitor's store"
    return (True, "is starting") if pulse.phase == STARTING else None


def _process_stopped(pulse: LivenessSample, age_seconds: float) -> tuple[bool, str] | None:
    if age_seconds > pulse.late_after_seconds:
        return False, f"stands still: has written nothing for {age_seconds:.0f} s"
    return None


def _just_started(pulse: LivenessSample, age_seconds: float) -> tuple[bool, str] | None:
    return (True, "has just started") if pulse.up_seconds < pulse.late_after_seconds else None


def _unreachable(pulse: LivenessSample, age_seconds: float) -> tuple[bool, str] | None:
    if not pulse.broker_reachable:
        return True, "is not judged: its broker does not answer"
    if not pulse.store_answers:
        return True, "is not judged: the monitor's store does not answer"
    back = pulse.recovered_seconds
    if back is not None and back < max(pulse.late_after_seconds, RECONNECT_SECONDS):
        return True, f"is not judged: its broker or the monitor's store was away until {back:.0f} s ago"
    return None


def _loop_frozen(pulse: LivenessSample, age_seconds: float) -> tuple[bool, str] | None:
    lag = pulse.loop_lag_seconds
    if lag is not None and lag > pulse.late_after_seconds and not pulse.executes_in_loop:
        return False, f"is frozen: its event loop has not turned for {lag:.0f} s"
    return None


def _slots_taken(pulse: LivenessSample, age_seconds: float) -> tuple[bool, str] | None:
    if not (pulse.executes_in_loop or pulse.taken):
        return None
    if pulse.stuck and pulse.unanswered_seconds > pulse.unanswered_after_seconds:
        return False, f"is stuck: its tasks run too long in {_slots(pulse)}, and {_waits(pulse)}"
    return True, f"is busy: {_slots(pulse)}"


def _not_judged(pulse: LivenessSample, age_seconds: float) -> tuple[bool, str] | None:
    if pulse.holding_back:
        return True, f"holds back tasks that may not begin yet (rate limits, ETAs): {_slots(pulse)}"
    if not pulse.judged:
        return True, "is not judged by heartbeats: its pool is none of Celery's, and has never executed any"
    return None


def _wedged(pulse: LivenessSample, age_seconds: float) -> tuple[bool, str] | None:
    if min(pulse.unanswered_seconds, pulse.idle_seconds) > pulse.unanswered_after_seconds:
        return False, f"is wedged: {_waits(pulse)}, nothing is executed, {_slots(pulse)}"
    return None


def _slots(pulse: LivenessSample) -> str:
    return f"{pulse.active} of {pulse.slots} slots taken, {pulse.reserved} reserved"


def _waits(pulse: LivenessSample) -> str:
    return f"a heartbeat has been waiting for {pulse.unanswered_seconds:.0f} s"
