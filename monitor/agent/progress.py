"""Ages of a worker's waiting and executed heartbeats. The beacon thread updates them with each beacon."""

from __future__ import annotations


class HeartbeatProgress:
    """Tracker of one worker's direct heartbeats. Only one thread may use it.

    - ``unanswered_seconds``: time for which a direct heartbeat has been waiting for its execution; 0 if none waits.
    - ``idle_seconds``: time since the worker last started a task or a heartbeat.
    - ``executed_age_seconds``: time since the newest executed direct heartbeat was sent; None before the first.
    - ``recovered_seconds``: time since an outage of the store or the broker ended; None if there was no outage.

    The time between two observations counts as at most twice the usual time. So a pause (SIGSTOP, a suspended machine)
    does not count as a long wait. Heartbeats that were sent before the first observation or before the end of an outage
    are ignored: such heartbeats may be lost, and without a running monitor no newer heartbeat would replace them.
    """

    def __init__(self, now: float, *, interval_seconds: float) -> None:
        """Start at ``now``, a monotonic time. ``interval_seconds`` is the longest usual time between observations."""
        self.unanswered_seconds = 0.0
        self.idle_seconds = 0.0
        self.executed_age_seconds: float | None = None
        self.recovered_seconds: float | None = None
        self._observed_at = now
        self._longest_step = 2 * interval_seconds
        self._ignored_until_us: int | None = None
        self._waiting_sent_us: int | None = None
        self._started_count = 0

    def observe(
        self,
        now: float,
        *,
        store_answers: bool,
        broker_reachable: bool,
        started_count: int,
        emitted_us: int | None = None,
        executed_us: int | None = None,
        store_now_us: int | None = None,
    ) -> None:
        """Update all ages at ``now``, a monotonic time.

        ``started_count`` is the number of tasks and heartbeats started since the worker's start. Three times are in
        microseconds by the store's clock, and None if unknown: ``emitted_us`` is the send time of the newest direct
        heartbeat, ``executed_us`` the send time of the newest executed direct heartbeat, ``store_now_us`` the present
        time.
        """
        step = min(max(0.0, now - self._observed_at), self._longest_step)
        self._observed_at = now
        self.idle_seconds = 0.0 if started_count != self._started_count else self.idle_seconds + step
        self._started_count = started_count
        if not (store_answers and broker_reachable):
            self.recovered_seconds = 0.0
            self.unanswered_seconds, self._ignored_until_us, self._waiting_sent_us = 0.0, None, None
            return
        if self.recovered_seconds is not None:
            self.recovered_seconds += step
        if executed_us is not None and store_now_us is not None:
            self.executed_age_seconds = max(0.0, (store_now_us - executed_us) / 1e6)
        self._update_waiting(step, emitted_us or 0, executed_us or 0)

    def _update_waiting(self, step: float, emitted: int, executed: int) -> None:
        if self._ignored_until_us is None or emitted < max(self._ignored_until_us, self._waiting_sent_us or 0):
            # If the newest send time is earlier than before, the store was flushed.
            self._ignored_until_us, self._waiting_sent_us = emitted, None
        if self._waiting_sent_us is not None and executed < self._waiting_sent_us:
            self.unanswered_seconds += step
            return
        unanswered = emitted > max(executed, self._ignored_until_us)
        self._waiting_sent_us = emitted if unanswered else None
        self.unanswered_seconds = 0.0
