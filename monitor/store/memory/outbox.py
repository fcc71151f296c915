"""Outbox of alerts in memory, for users' tests and for processes without Redis."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import RLock

from monitor.model.alerts import Alert, AlertsOverview, DeadLetter, DeliveryQueue, Silence
from monitor.model.checks import Notice
from monitor.ports.alerts import Delivery, PendingDecisions
from monitor.ports.store import StateStore
from monitor.store import alert_codec
from monitor.store.retention import TRANSITIONS_KEPT

DEAD_LETTERS_KEPT = 1000
FIRST_SECONDS = 60.0


@dataclass(slots=True)
class _Lane:
    """The notices of one check for one channel, in order."""

    due_at: float
    notices: deque[bytes] = field(default_factory=deque)
    attempts: int = 0


@dataclass(slots=True)
class _Channel:
    lanes: dict[str, _Lane] = field(default_factory=dict)
    holder: tuple[str, float] | None = None
    failures: int = 0
    held_until: float = 0.0
    reason: str | None = None


class MemoryOutbox:
    """A :class:`monitor.ports.alerts.Outbox` in this process. Threads may share it.

    It reads the transitions from ``states``, and encodes notices as in Redis.
    """

    def __init__(self, clock: Callable[[], float], states: StateStore) -> None:
        self._clock = clock
        self._states = states
        self._lock = RLock()
        self._version, self._cursor = 0, ""
        self._alerts: dict[str, Alert] = {}
        self._silences: dict[str, Silence] = {}
        self._channels: dict[str, _Channel] = {}
        self._dead: deque[DeadLetter] = deque(maxlen=DEAD_LETTERS_KEPT)

    def undecided(self, token: str = "", *, all_alerts: bool = True, limit: int = 500) -> PendingDecisions | None:  # noqa: ARG002
        """Return the undecided transitions and the alerts of their checks. ``token`` is ignored: there are no turns."""
        with self._lock:
            may_be_incomplete = not self._cursor
            fresh = self._states.transitions(after=self._cursor or None, limit=TRANSITIONS_KEPT)
            cursor = fresh[-1][0] if may_be_incomplete and fresh else self._cursor or "0"
            if may_be_incomplete and fresh:
                newest = fresh[-1][1].at
                fresh = [entry for entry in fresh if entry[1].at >= newest - FIRST_SECONDS]
            else:
                fresh = fresh[:limit]
            transitions = tuple(transition for _, transition in fresh)
            names = {transition.check for transition in transitions}
            wanted = {
                name: alert for name, alert in self._alerts.items() if all_alerts or may_be_incomplete or name in names
            }
            return PendingDecisions(
                version=str(self._version),
                cursor=fresh[-1][0] if fresh else cursor,
                read_at=self._clock(),
                transitions=transitions,
                alerts=wanted,
                silences=self._active_silences(),
                may_be_incomplete=may_be_incomplete,
                needs_decision=bool(fresh) or may_be_incomplete,
            )

    def decide(
        self, pending: PendingDecisions, alerts: Mapping[str, Alert | None], notices: Sequence[tuple[str, Notice]]
    ) -> bool:
        """Write a decision. Return False when another one was written since ``pending`` was read."""
        with self._lock:
            if pending.version != str(self._version):
                return False
            self._version += 1
            self._cursor = pending.cursor
            for check, alert in alerts.items():
                if alert is None:
                    self._alerts.pop(check, None)
                else:
                    self._alerts[check] = alert
            for name, notice in notices:
                lanes = self._channels.setdefault(name, _Channel()).lanes
                lane = lanes.setdefault(notice.check, _Lane(self._clock()))
                lane.notices.append(alert_codec.encode(alert_codec.slim(notice)))
            return True

    def due(self, channels: Iterable[str]) -> list[str]:
        """Return the ``channels`` that have a notice to deliver now and on which no token has the lease."""
        with self._lock:
            return [
                name
                for name in channels
                if self._holding_token(name) is None and self._next_due_check(name) is not None
            ]

    def take(self, channel: str, token: str, *, lease_seconds: float) -> Delivery | None:
        """Take the lease on the channel and return its next notice; None when none is due or another token has it."""
        with self._lock:
            if self._holding_token(channel) not in (None, token):
                return None
            check = self._next_due_check(channel)
            if check is None:
                self.leave(channel, token)
                return None
            known, now = self._channels[channel], self._clock()
            known.holder = token, now + lease_seconds
            lane = known.lanes[check]
            notice = alert_codec.decode(Notice, lane.notices[0])
            assert notice is not None  # noqa: S101  (only this class encodes notices)
            return Delivery(channel, token, notice, lane.attempts, known.failures, now, lane.notices[0])

    def leave(self, channel: str, token: str) -> None:
        """Release the lease on a channel."""
        with self._lock:
            if self._holding_token(channel) == token:
                self._channels[channel].holder = None

    def ack(self, delivery: Delivery) -> bool:
        """Delete a delivered notice. Return False when it was already deleted."""
        with self._lock:
            if not self._remove(delivery):
                return False
            known = self._channels[delivery.channel]
            known.failures, known.held_until, known.reason = 0, 0.0, None
            return True

    def retry(self, delivery: Delivery, *, after_seconds: float, pause_channel_seconds: float, reason: str) -> None:
        """Try a failed notice again after ``after_seconds``. Pause its channel for ``pause_channel_seconds``."""
        with self._lock:
            lane = self._lane_of(delivery)
            if lane is None:
                return
            known, now = self._channels[delivery.channel], self._clock()
            lane.attempts, lane.due_at = lane.attempts + 1, now + after_seconds
            known.failures, known.reason = known.failures + 1, reason
            if pause_channel_seconds:
                known.held_until = now + pause_channel_seconds

    def bury(self, delivery: Delivery, reason: str) -> None:
        """Move a notice that will not be tried again to the dead letters."""
        with self._lock:
            if self._remove(delivery):
                attempts = delivery.attempts + 1
                letter = DeadLetter(delivery.channel, delivery.notice, reason, delivery.taken_at, attempts)
                self._dead.appendleft(letter)

    def retire(self, *, configured_channels: Iterable[str], before: float) -> int:
        """Move the older notices of channels that are not configured to the dead letters. Return their number."""
        configured, buried_count = set(configured_channels), 0
        with self._lock:
            for name in [name for name in self._channels if name not in configured]:
                for lane in self._channels[name].lanes.values():
                    while lane.notices and (notice := alert_codec.decode(Notice, lane.notices[0])):
                        if notice.at > before:
                            break
                        lane.notices.popleft()
                        reason = "its channel is not configured any more"
                        self._dead.appendleft(DeadLetter(name, notice, reason, self._clock(), 0))
                        buried_count += 1
                if not any(lane.notices for lane in self._channels[name].lanes.values()):
                    del self._channels[name]
        return buried_count

    def silence(self, checks: str, *, for_seconds: float, why: str, by: str = "") -> Silence:
        """Silence the checks whose names match the pattern ``checks``."""
        now = self._clock()
        silence = Silence(uuid.uuid4().hex[:8], checks, now, now + for_seconds, why, by)
        with self._lock:
            self._silences[silence.id] = silence
        return silence

    def unsilence(self, silence_id: str) -> bool:
        """End a silence. Return False when no silence has this id."""
        with self._lock:
            return self._silences.pop(silence_id, None) is not None

    def overview(self) -> AlertsOverview:
        """Return all alerts, silences and delivery queues, and the newest dead letters."""
        with self._lock:
            alerts = tuple(sorted(self._alerts.values(), key=lambda alert: alert.check))
            queues = tuple(_delivery_queue(name, known) for name, known in sorted(self._channels.items()))
            dead = tuple(self._dead)
            return AlertsOverview(self._clock(), alerts, self._active_silences(), queues, dead[:100], len(dead))

    def _active_silences(self) -> tuple[Silence, ...]:
        now = self._clock()
        return tuple(
            sorted((each for each in self._silences.values() if each.until > now), key=lambda each: each.until)
        )

    def _holding_token(self, channel: str) -> str | None:
        known = self._channels.get(channel)
        return known.holder[0] if known and known.holder and known.holder[1] > self._clock() else None

    def _next_due_check(self, channel: str) -> str | None:
        known, now = self._channels.get(channel), self._clock()
        if known is None or known.held_until > now:
            return None
        due = [(lane.due_at, check) for check, lane in known.lanes.items() if lane.notices and lane.due_at <= now]
        return min(due)[1] if due else None

    def _lane_of(self, delivery: Delivery) -> _Lane | None:
        known = self._channels.get(delivery.channel)
        lane = known.lanes.get(delivery.notice.check) if known else None
        return lane if lane and lane.notices and lane.notices[0] == delivery.raw else None

    def _remove(self, delivery: Delivery) -> bool:
        lane = self._lane_of(delivery)
        if lane is None:
            return False
        lane.notices.popleft()
        lane.attempts, lane.due_at = 0, self._clock()
        if not lane.notices:
            del self._channels[delivery.channel].lanes[delivery.notice.check]
        return True


def _delivery_queue(name: str, known: _Channel) -> DeliveryQueue:
    waiting = [
        notice for lane in known.lanes.values() for raw in lane.notices if (notice := alert_codec.decode(Notice, raw))
    ]
    oldest = min((notice.at for notice in waiting), default=None)
    return DeliveryQueue(name, len(waiting), oldest, known.failures, known.held_until or None, known.reason)
