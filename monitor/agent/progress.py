"""Ages of waiting and executed heartbeats, which the beacon thread updates with each beacon."""

from __future__ import annotations


class HeartbeatProgress:
    """Tracker of one worker's direct heartbeats: how long has one been waiting? One thread uses it.

    A step between two observations counts at most twice the usual time. So after a pause (SIGSTOP, a suspended machine)
    the worker has the full time to execute a heartbeat. Heartbeats sent before the first observation or before an
    outage are ignored: they may be lost, and without a running monitor no newer one would ever replace them.
    """

    def __init__(self, now: float, *, interval_seconds: float) -> None:
        """Start at ``now`` (monotonic seconds, as everywhere here). ``interval_seconds`` is the longest usual step."""
        self.unanswered_seconds = 0.0
        self.idle_seconds = 0.0
        self.executed_age_seconds: float | None = None
        self.recovered_seconds: float | None = None
        self._at = now
        self._longest_step = 2 * interval_seconds
        self._not_before: int | None = None
        self._waiting_for: int | None = None
        self._done = 0

    def observe(
        self,
        now: float,
        *,
        store_answers: bool,
        broker_reachable: bool,
        done: int,
        emitted_us: int | None = None,
        executed_us: int | None = None,
        store_now_us: int | None = None,
    ) -> None:
        """Update all ages.

        ``done`` is the number of tasks executed since the worker's start. The other times are in microseconds by the
        store's clock: ``emitted_us`` is the send time of the newest direct heartbeat, ``executed_us`` that of the
        newest executed one, ``store_now_us`` the present. They are None if unknown.
        """
        step = min(max(0.0, now - self._at), self._longest_step)
        self._at = now
        self.idle_seconds = 0.0 if done != self._done else self.idle_seconds + step
        self._done = done
        if not (store_answers and broker_reachable):
            self.recovered_seconds = 0.0
            self.unanswered_seconds, self._not_before, self._waiting_for = 0.0, None, None
            return
        if self.recovered_seconds is not None:
            self.recovered_seconds += step
        if executed_us is not None and store_now_us is not None:
            self.executed_age_seconds = max(0.0, (store_now_us - executed_us) / 1e6)
        self._update_waiting(step, emitted_us or 0, executed_us or 0)

    def _update_waiting(self, step: float, emitted: int, executed: int) -> None:
        if self._not_before is None or emitted < max(self._not_before, self._waiting_for or 0):
            # A send time that is less than a known one means that the store was flushed.
            self._not_before, self._waiting_for = emitted, None
        if self._waiting_for is not None and executed < self._waiting_for:
            self.unanswered_seconds += step
            return
        unanswered = emitted > max(executed, self._not_before)
        self._waiting_for = emitted if unanswered else None
        self.unanswered_seconds = 0.0
