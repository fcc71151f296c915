"""Rules of alerting: the new alert and its notices, from the previous alert and a transition or the passing of time.

The rules are pure: no IO, no clock. docs/alerting.md describes them in words.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from monitor.config import ChannelSpec
from monitor.model.alerts import Alert, LastNotification
from monitor.model.checks import Notice, NoticeKind, Status, Transition
from monitor.policy.suppression import Suppression

Notices = tuple[tuple[str, Notice], ...]
"""Notices, each with the name of its channel."""

ROLL_OUT_SECONDS = 3600.0
"""Time for which two configurations with different channels may be in force side by side."""

LONGEST_BACKOFF_SECONDS = 300.0

_LEVELS = {"warning": 1, "error": 2}
"""Least severity of a status that a channel with this ``severity`` is notified about."""


@dataclass(frozen=True)
class DecisionContext:
    """Input of a decision about one check, besides its alert and its transition.

    - ``channels``: channels that are notified about this check; ``configured``: all channels, by name.
    - ``hold``: reason to hold notices that something begins or goes on.
    - ``message``, ``data``: from the check's newest result.
    - ``is_deleted``: the check does not exist any more, so its alert is resolved.
    """

    now: float
    channels: Sequence[ChannelSpec]
    configured: Mapping[str, ChannelSpec]
    flap_changes: int
    flap_window_seconds: float
    hold: Suppression | None = None
    message: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    is_deleted: bool = False


def evaluate(
    alert: Alert | None, transition: Transition | None, context: DecisionContext
) -> tuple[Alert | None, Notices]:
    """Return the alert and the notices after a transition, or after some time when ``transition`` is None.

    The returned alert is None when there is nothing to remember: the check is ok, and no channel has been notified
    otherwise. Pass the transitions of a check in the order of the stream. Their sequences are not compared, because a
    step of the store's clock or a fail-over may lower them. A transition that the alert already has changes nothing.
    """
    alert = _with_transition(alert, transition)
    if alert is None:
        return None, ()
    oldest = context.now - context.flap_window_seconds
    recent = tuple(change for change in alert.changes if change[0] > oldest)
    alert = replace(alert, changes=recent[-context.flap_changes :])
    alert = replace(alert, told={name: last for name, last in alert.told.items() if _is_kept(name, alert, context)})
    if alert.flapping_since is not None and not alert.changes:
        alert = replace(alert, flapping_since=None)
    elif alert.flapping_since is None and len(alert.changes) >= context.flap_changes:
        alert = replace(alert, flapping_since=context.now)
    return _notify(alert, context)


def channels_for(
    check: str, labels: Mapping[str, str], groups: Collection[str], channels: Mapping[str, ChannelSpec]
) -> tuple[ChannelSpec, ...]:
    """Return the channels that are notified about a check: their name patterns, labels and groups match it."""
    return tuple(channel for channel in channels.values() if channel.wants(check, labels, groups))


def _with_transition(alert: Alert | None, transition: Transition | None) -> Alert | None:
    if transition is None or (alert is not None and transition.id == alert.transition):
        return alert
    changes = alert.changes if alert else ()
    # The first observation of a check is not a change.
    if transition.old is not Status.UNKNOWN and transition.old.severity != transition.new.severity:
        changes = (*changes, (transition.at, transition.new.severity))
    base = alert or Alert(transition.check, transition.new, transition.old, transition.at, transition.sequence)
    return replace(
        base,
        status=transition.new,
        old=transition.old,
        since=transition.at,
        sequence=transition.sequence,
        reason=transition.reason,
        run_id=transition.run_id,
        changes=changes,
    )


def _is_kept(channel: str, alert: Alert, context: DecisionContext) -> bool:
    """Return whether to keep the last notification of a channel.

    A channel that is not configured here may belong to another configuration that is being rolled out.
    """
    newest = max(alert.since, alert.told[channel].at)
    return channel in context.configured or context.now - newest < ROLL_OUT_SECONDS


def _notify(alert: Alert, context: DecisionContext) -> tuple[Alert | None, Notices]:
    last, deferred, notices = dict(alert.told), set(alert.deferred) & set(context.configured), []
    is_held = False
    # A channel that is no longer notified about this check, but was, is still notified of the end of the failure.
    wanted = {channel.name: channel for channel in context.channels}
    for name in [*wanted, *(name for name in last if name not in wanted and name in context.configured)]:
        decision = _Decision(alert, context, context.configured[name], last.get(name), name in deferred)
        kind, suffix = decision.kind() if name in wanted else decision.ending()
        if decision.begins(kind) and context.hold is not None:
            is_held = True
            if context.hold.defers:
                deferred.add(name)
            continue
        deferred.discard(name)
        if kind is not None and (kind is not NoticeKind.RESOLVED or decision.channel.resolved):
            notices.append((name, decision.notice(kind, suffix)))
        after = decision.last_after(kind)
        if after is None:
            last.pop(name, None)
        else:
            last[name] = after
    hold = context.hold if is_held else None
    alert = replace(
        alert,
        told=last,
        deferred=tuple(sorted(deferred)),
        held=hold.reason if hold else None,
        held_by=hold.by if hold else None,
    )
    is_kept = alert.status.severity > 0 or last or alert.changes or alert.flapping_since is not None
    return (alert if is_kept and not context.is_deleted else None), tuple(notices)


@dataclass(frozen=True)
class _Decision:
    """Decision about one check and one channel. ``last`` is the channel's last notification about the check."""

    alert: Alert
    context: DecisionContext
    channel: ChannelSpec
    last: LastNotification | None
    deferred: bool

    @property
    def level(self) -> int:
        return _LEVELS[self.channel.severity]

    @property
    def fires(self) -> bool:
        return self.alert.status.severity >= self.level and not self.context.is_deleted

    @property
    def began_anew(self) -> bool:
        """True when the check failed again after a recovery that the store has lost."""
        return (
            self.last is not None
            and not self.last.flapping
            and self.last.notice != self.alert.transition
            and self.alert.old.severity < self.level
        )

    def kind(self) -> tuple[NoticeKind | None, str]:
        """Return the kind of the notice, or None for no notice, and the suffix of its id after the transition's id."""
        late = ":deferred" if self.deferred else ""
        if self.alert.flapping_since is not None and not self.context.is_deleted:
            reaches_level = max((severity for _, severity in self.alert.changes), default=0) >= self.level
            is_new = reaches_level and not (self.last and self.last.flapping)
            return (NoticeKind.FLAPPING, late) if is_new else (None, "")
        if not self.fires:
            return self.ending()
        if self.last is not None and self.last.flapping:
            return NoticeKind.FIRING, ":settled"
        if self.last is None or self.last.status.severity < self.alert.status.severity or self.began_anew:
            return NoticeKind.FIRING, late
        return self._reminder()

    def ending(self) -> tuple[NoticeKind | None, str]:
        """Return the kind and the suffix of the notice that a notified failure has ended, or None and no suffix."""
        if self.last is None or self.fires or (self.alert.flapping_since is not None and not self.context.is_deleted):
            return None, ""
        if self.context.is_deleted:
            return NoticeKind.RESOLVED, ":gone"
        if self.last.flapping:
            return NoticeKind.RESOLVED, ":settled"
        # Without a transition since the last notification, the severity of the channel has changed.
        return NoticeKind.RESOLVED, ":resolved" if self.last.notice == self.alert.transition else ""

    def begins(self, kind: NoticeKind | None) -> bool:
        """Return whether a notice of this kind is held: it reports that a failure begins or goes on."""
        return kind in (NoticeKind.FIRING, NoticeKind.FLAPPING, NoticeKind.REMINDER)

    def notice(self, kind: NoticeKind, suffix: str) -> Notice:
        began = self.last.since if self.last is not None and kind is not NoticeKind.FIRING else self.alert.since
        is_deleted = self.context.is_deleted
        return Notice(
            id=self.alert.transition + suffix,
            kind=kind,
            check=self.alert.check,
            old=self.last.status if self.last is not None and kind is NoticeKind.RESOLVED else self.alert.old,
            status=Status.OK if is_deleted else self.alert.status,
            since=began,
            at=self.context.now,
            reason="gone" if is_deleted else self.alert.reason,
            message=self.context.message,
            labels=self.context.labels,
            data=self.context.data,
        )

    def last_after(self, kind: NoticeKind | None) -> LastNotification | None:
        """Return the channel's last notification after a notice of this kind, or after none."""
        alert, now, last = self.alert, self.context.now, self.last
        match kind:
            case NoticeKind.FIRING | NoticeKind.FLAPPING:
                since = last.since if last is not None and not self.began_anew else alert.since
                return LastNotification(
                    alert.status, since, now, alert.transition, flapping=kind is NoticeKind.FLAPPING
                )
            case NoticeKind.REMINDER if last is not None:
                return replace(last, at=now, reminders=last.reminders + 1)
            case NoticeKind.RESOLVED:
                return None
        if last is not None and not last.flapping and alert.status.severity < last.status.severity and self.fires:
            return replace(last, status=alert.status)  # milder: no notice now, but one if it gets worse again
        return last

    def _reminder(self) -> tuple[NoticeKind | None, str]:
        every = self.channel.reminder_seconds
        if self.last is None or every is None or self.context.now < self.last.at + every:
            return None, ""
        return NoticeKind.REMINDER, f":reminder:{self.last.reminders + 1}"


def backoff_seconds(failures: int, first_seconds: float) -> float:
    """Return the pause after a number of failures in a row. It doubles from ``first_seconds`` up to five minutes."""
    return min(first_seconds * 2.0 ** min(failures - 1, 30), LONGEST_BACKOFF_SECONDS)
