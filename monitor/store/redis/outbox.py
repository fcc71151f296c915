"""Outbox of alerts in Redis. The comment of each script describes the invariant that the script keeps."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence

from monitor.model.alerts import Alert, AlertsOverview, DeadLetter, DeliveryQueue, Silence
from monitor.model.checks import Notice
from monitor.ports.alerts import Delivery, PendingDecisions
from monitor.store import alert_codec, codec
from monitor.store.redis.connection import Argument, RedisConnection
from monitor.store.redis.surplus_fields import delete_surplus_fields
from monitor.store.rejected import RejectedValues

DEAD_LETTERS_KEPT = 1000
DEAD_LETTERS_SHOWN = 100
PENDING_KEPT = 10_000
DISCARDS_PER_SCRIPT = 500
TURN_SECONDS = 5.0
FIRST_SECONDS = 60
"""The first decision in a store ignores transitions that are older than the newest one by more than this time. After a
flush there are none. After the first channel was configured, they are too old for a notification."""


class RedisOutbox:
    """A :class:`monitor.ports.alerts.Outbox` over the store's connection. Every method may raise StoreUnavailable."""

    def __init__(self, connection: RedisConnection, prefix: str, rejected: RejectedValues) -> None:
        self._connection, self._rejected = connection, rejected
        self._prefix = f"{prefix}alerting:"
        self._transitions = f"{prefix}transitions"
        self._meta, self._alerts = f"{prefix}alerting", f"{self._prefix}alerts"
        self._silences, self._dead = f"{self._prefix}silences", f"{self._prefix}dead"
        self._channels = f"{self._prefix}channels"

    def undecided(self, token: str = "", *, all_alerts: bool = True, limit: int = 500) -> PendingDecisions | None:
        """Return the undecided transitions and the alerts of their checks; None while another token has the turn."""
        keys = [self._meta, self._transitions, self._alerts, self._silences, f"{self._prefix}turn"]
        answer = self._connection.run(
            "alert_read",
            keys,
            [limit, codec.LIMIT_BYTES, int(all_alerts), token, round(TURN_SECONDS * 1e3), FIRST_SECONDS],
        )
        if not answer:
            return None
        now, version, cursor, may_be_incomplete, fresh, alerts, silences = answer
        known = self._alerts_of(alerts)
        transitions = tuple(found for raw in fresh if (found := codec.decode_transition(raw)))
        self._rejected.count("transition", len(fresh) - len(transitions))
        return PendingDecisions(
            version=version.decode(),
            cursor=cursor.decode(),
            read_at=int(now) / 1e6,
            transitions=transitions,
            alerts={alert.check: alert for alert in known},
            silences=self._active_silences(silences, int(now) / 1e6),
            may_be_incomplete=bool(may_be_incomplete),
            needs_decision=bool(fresh) or bool(may_be_incomplete),
        )

    def decide(
        self, pending: PendingDecisions, alerts: Mapping[str, Alert | None], notices: Sequence[tuple[str, Notice]]
    ) -> bool:
        """Write a decision. Return False when another process has decided since ``pending`` was read."""
        arguments: list[Argument] = [self._prefix, pending.version, pending.cursor, DEAD_LETTERS_KEPT, PENDING_KEPT]
        arguments.append(len(alerts))
        for check, alert in alerts.items():
            arguments += [check, alert_codec.encode(alert) if alert else ""]
        for channel, notice in notices:
            raw = alert_codec.encode(alert_codec.slim(notice))
            arguments += [channel, notice.check, b"%d|%s" % (round(notice.at * 1e6), raw)]
        keys = [self._meta, self._alerts, self._dead, self._channels]
        return bool(self._connection.run("alert_decide", keys, arguments))

    def due(self, channels: Iterable[str]) -> list[str]:
        """Return the ``channels`` that have a notice to deliver now and on which no process has the lease."""
        return [name.decode() for name in self._connection.run("alert_due", [], [self._prefix, *channels])]

    def take(self, channel: str, token: str, *, lease_seconds: float) -> Delivery | None:
        """Take the lease on the channel and return its next notice; None when none is due or another token has it."""
        lane_prefix, lease_ms = self._lane_key(channel, b""), max(1, round(lease_seconds * 1e3))
        arguments: list[Argument] = [token, lease_ms, lane_prefix, alert_codec.LIMIT_BYTES, PENDING_KEPT]
        while True:
            answer, deleted, *rest = self._connection.run("alert_take", self._keys(channel), arguments)
            self._rejected.count("notice", deleted)
            if answer == b"again":
                continue
            if answer != b"notice":
                return None
            check, raw, attempts, failures, now = rest
            notice = alert_codec.decode(Notice, raw.partition(b"|")[2])
            if notice is not None and notice.check.encode() == check:
                return Delivery(channel, token, notice, _count(attempts), _count(failures), int(now) / 1e6, raw)
            self._rejected.count("notice")
            self._remove(channel, token, check, raw, b"")  # Another program has stored this notice.

    def leave(self, channel: str, token: str) -> None:
        """Release the lease on a channel, so that another process can take it."""
        self._connection.run("alert_leave", self._keys(channel)[:1], [token])

    def ack(self, delivery: Delivery) -> bool:
        """Delete a delivered notice. Return False when another process has already deleted it."""
        return self._remove(delivery.channel, delivery.token, delivery.notice.check.encode(), delivery.raw, b"")

    def retry(self, delivery: Delivery, *, after_seconds: float, pause_channel_seconds: float, reason: str) -> None:
        """Try a failed notice again after ``after_seconds``. Pause its channel for ``pause_channel_seconds``."""
        channel, check = delivery.channel, delivery.notice.check
        self._connection.run(
            "alert_retry",
            [*self._keys(channel), self._lane_key(channel, check.encode())],
            [
                delivery.token,
                check,
                delivery.raw,
                round(after_seconds * 1e6),
                round(pause_channel_seconds * 1e6),
                reason[:500],
            ],
        )

    def bury(self, delivery: Delivery, reason: str) -> None:
        """Move a notice that will not be tried again to the dead letters."""
        attempts = delivery.attempts + 1
        letter = DeadLetter(delivery.channel, delivery.notice, reason[:500], delivery.taken_at, attempts)
        name, raw = delivery.notice.check.encode(), delivery.raw
        self._remove(delivery.channel, delivery.token, name, raw, alert_codec.encode(letter))

    def retire(self, *, configured_channels: Iterable[str], before: float) -> int:
        """Move the older notices of channels that are not configured to the dead letters. Return their number."""
        arguments: list[Argument] = [self._prefix, DEAD_LETTERS_KEPT, round(before * 1e6), *configured_channels]
        return int(self._connection.run("alert_retire", [self._channels, self._dead], arguments))

    def silence(self, checks: str, *, for_seconds: float, why: str, by: str = "") -> Silence:
        """Silence the checks whose names match the pattern ``checks``."""
        now = self._connection.now()
        silence = Silence(uuid.uuid4().hex[:8], checks, now, now + for_seconds, why[:500], by[:100])
        names, raws = self._connection.run("fields", [self._silences], [alert_codec.LIMIT_BYTES])
        for name, raw in zip(names, raws, strict=True):
            stored = alert_codec.decode(Silence, raw)
            if stored is None or stored.until <= now:
                self._connection.call("HDEL", self._silences, name)
        self._connection.call("HSET", self._silences, silence.id, alert_codec.encode(silence))
        return silence

    def unsilence(self, silence_id: str) -> bool:
        """End a silence. Return False when no silence has this id."""
        return bool(self._connection.call("HDEL", self._silences, silence_id))

    def overview(self) -> AlertsOverview:
        """Return all alerts, silences and delivery queues, and the newest dead letters."""
        keys = [self._alerts, self._silences, self._dead, self._channels]
        clock, alerts, silences, dead, count, queues = self._connection.run(
            "alert_overview", keys, [self._prefix, DEAD_LETTERS_SHOWN, alert_codec.LIMIT_BYTES]
        )
        now = int(clock) / 1e6
        known = self._alerts_of(alerts)
        letters = (alert_codec.decode(DeadLetter, raw) for raw in dead)
        return AlertsOverview(
            read_at=now,
            alerts=tuple(sorted(known, key=lambda alert: alert.check)),
            silences=self._active_silences(silences, now),
            queues=tuple(_delivery_queue(queue) for queue in queues),
            dead_letters=tuple(letter for letter in letters if letter),
            dead_letter_count=int(count),
        )

    def delete_oversized(self) -> None:
        """Delete alerts and silences above the maximum number. Only another program can have stored so many."""
        for key, kind in ((self._alerts, "alert"), (self._silences, "silence")):
            self._rejected.count(
                kind, delete_surplus_fields(self._connection, key, least=20, limit=alert_codec.LIMIT_BYTES)
            )

    def _alerts_of(self, raws: Sequence[bytes]) -> list[Alert]:
        known = [alert for raw in raws if (alert := alert_codec.decode(Alert, raw))]
        if len(known) < len(raws):
            self._rejected.count("alert", len(raws) - len(known))
            self._remove_broken(self._alerts, Alert)
        return known

    def _active_silences(self, raws: Sequence[bytes], now: float) -> tuple[Silence, ...]:
        known = [silence for raw in raws if (silence := alert_codec.decode(Silence, raw))]
        if len(known) < len(raws):
            self._rejected.count("silence", len(raws) - len(known))
            self._remove_broken(self._silences, Silence)
        return tuple(sorted((silence for silence in known if silence.until > now), key=lambda s: s.until))

    def _remove_broken(self, key: str, kind: type[Alert] | type[Silence]) -> None:
        """Delete the undecodable fields of a hash. Read the hash again, because the scripts return no field names."""
        if not self._rejected.writes:
            return
        fields, values = self._connection.run("fields", [key], [alert_codec.LIMIT_BYTES])
        pairs: list[Argument] = []
        for field, raw in zip(fields, values, strict=True):
            if not (alert_codec.decode(Alert, raw) if kind is Alert else alert_codec.decode(Silence, raw)):
                pairs += [field, raw]
        for start in range(0, len(pairs), 2 * DISCARDS_PER_SCRIPT):
            self._connection.run("discard", [key], pairs[start : start + 2 * DISCARDS_PER_SCRIPT])

    def _remove(self, channel: str, token: str, check: bytes, raw: bytes, letter: bytes) -> bool:
        keys = [*self._keys(channel), self._lane_key(channel, check), self._dead]
        return bool(self._connection.run("alert_done", keys, [token, check, raw, letter, DEAD_LETTERS_KEPT]))

    def _keys(self, channel: str) -> list[str | bytes]:
        return [f"{self._prefix}flight:{channel}", f"{self._prefix}channel:{channel}", f"{self._prefix}due:{channel}"]

    def _lane_key(self, channel: str, check: bytes) -> bytes:
        """Return the key of a lane: the list of a check's notices for one channel. The name may be invalid UTF-8."""
        return f"{self._prefix}lane:{channel}|".encode() + check


def _delivery_queue(raw: Sequence[bytes]) -> DeliveryQueue:
    channel, pending, oldest, failures, hold, reason = raw
    held_until = _count(hold) / 1e6 if _count(failures) else 0
    return DeliveryQueue(
        channel.decode(errors="replace"),
        _count(pending),
        _count(oldest) / 1e6 if oldest else None,
        _count(failures),
        held_until or None,
        reason.decode(errors="replace") or None,
    )


def _count(raw: bytes) -> int:
    return int(raw) if raw.isdigit() and len(raw) < 19 else 0
