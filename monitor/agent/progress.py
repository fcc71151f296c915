"""What the beacon thread remembers from one look at its heartbeats to the next: what waits, and for how long."""

from __future__ import annotations


class HeartbeatProgress:
    """Whether direct heartbeats are executed, as seen by the worker that they are sent to. One thread uses it.

    Only time is counted in which the worker was looked at: after a pause (SIGSTOP, a suspended machine) it has as long
    to answer as ever. What was sent before the first look, or before an outage, may be lost, and is not waited for:
    when the monitor is gone, too, nothing newer would ever take its place.
    """

    def __init__(self, now: float, *, interval_seconds: float) -> None:
        """``now``: monotonic seconds, as in all that follows; ``interval_seconds``: between two looks, at most."""
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
        """Take a look, with every beacon.

        ``done``: tasks executed since the start. By the store's clock, in microseconds, when it answers:
        ``emitted_us``, the newest direct heartbeat sent; ``executed_us``, when the newest one that was executed had
        been sent; ``store_now_us``. None: no such thing.
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
        self._wait(step, emitted_us or 0, executed_us or 0)

    def _wait(self, step: float, emitted: int, executed: int) -> None:
        if self._not_before is None or emitted < max(self._not_before, self._waiting_for or 0):  # less: flushed
            self._not_before, self._waiting_for = emitted, None
        if self._waiting_for is not None and executed < self._waiting_for:
            self.unanswered_seconds += step
            return
        unanswered = emitted > max(executed, self._not_before)
        self._waiting_for = emitted if unanswered else None
        self.unanswered_seconds = 0.0
