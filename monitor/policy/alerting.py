"""Rules of alerting: they derive the new alert and its notices from the last alert, a transition and the time.

The rules are pure: no IO, no clock. docs/alerting.md describes them.
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
"""For this time during a deployment, processes with the old and with the new configuration may run side by side."""

LONGEST_BACKOFF_SECONDS = 300.0

_LEAST_SEVERITY = {"warning": 1, "error": 2}
"""By the ``severity`` of a channel: the least severity of a status that the channel is notified about."""


@dataclass(frozen=True)
class DecisionContext:
    """Input of a decision about one check, in addition to its alert and its transition.

    - ``channels``: the channels that are notified about this check.
    - ``configured``: all channels of the configuration, by name.
    - ``hold``: the reason to hold notices about a failure that begins or continues.
    - ``message``, ``data``: from the last result of the check.
    - ``is_deleted``: the check no longer exists, so its alert is resolved.
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
    """Return the new alert and the new notices, after a transition or (``transition`` is None) after some time.

    The new alert is None when nothing has to be stored: the check is ok, and no channel was notified of a failure.

    Call this for the transitions of a check in the order of the stream. Their sequences are not compared, because a
    step of the store's clock or a fail-over may lower a sequence. A transition that is already in the alert changes
    nothing.
    """
    alert = _with_transition(alert, transition)
    if alert is None:
        return None, ()
    window_start = context.now - context.flap_window_seconds
    recent_changes = tuple(change for change in alert.changes if change[0] > window_start)
    alert = replace(alert, changes=recent_changes[-context.flap_changes :])
    alert = replace(alert, told={name: last for name, last in alert.told.items() if _is_kept(name, alert, context)})
    if alert.flapping_since is not None and not alert.changes:
        alert = replace(alert, flapping_since=None)
    elif alert.flapping_since is None and len(alert.changes) >= context.flap_changes:
        alert = replace(alert, flapping_since=context.now)
    return _notify(alert, context)


def channels_for(
    check: str, labels: Mapping[str, str], groups: Collection[str], channels: Mapping[str, ChannelSpec]
) -> tuple[ChannelSpec, ...]:
    """Return the channels that are notified about a check: the check matches their name patterns, labels and groups."""
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
    """Return whether to keep the last notice of a channel.

    The last notice of a channel that is not in this configuration is kept for a while. Another process may have a
    configuration with the channel, because it is being rolled out.
    """
    newest_at = max(alert.since, alert.told[channel].at)
    return channel in context.configured or context.now - newest_at < ROLL_OUT_SECONDS


def _notify(alert: Alert, context: DecisionContext) -> tuple[Alert | None, Notices]:
    last_notices, deferred, notices = dict(alert.told), set(alert.deferred) & set(context.configured), []
    is_held = False
    selected = {channel.name for channel in context.channels}
    # The configuration may have changed: a channel that was notified of the failure and is no longer selected for this
    # check is only notified of the end of the failure.
    only_the_end = [name for name in last_notices if name not in selected and name in context.configured]
    for name in [*(channel.name for channel in context.channels), *only_the_end]:
        decision = _Decision(alert, context, context.configured[name], last_notices.get(name), name in deferred)
        kind, suffix = decision.kind_and_suffix() if name in selected else decision.kind_and_suffix_of_end()
        if decision.can_be_held(kind) and context.hold is not None:
            is_held = True
            if context.hold.defers:
                deferred.add(name)
            continue
        deferred.discard(name)
        if kind is not None and (kind is not NoticeKind.RESOLVED or decision.channel.resolved):
            notices.append((name, decision.notice(kind, suffix)))
        last_notice = decision.last_after(kind)
        if last_notice is None:
            last_notices.pop(name, None)
        else:
            last_notices[name] = last_notice
    hold = context.hold if is_held else None
    alert = replace(
        alert,
        told=last_notices,
        deferred=tuple(sorted(deferred)),
        held=hold.reason if hold else None,
        held_by=hold.by if hold else None,
    )
    is_kept = alert.status.severity > 0 or last_notices or alert.changes or alert.flapping_since is not None
    return (alert if is_kept and not context.is_deleted else None), tuple(notices)


@dataclass(frozen=True)
class _Decision:
    """Decision about one check and one channel.

    ``last`` is the last notice of the channel about the failure; None when the channel was not notified of it.
    ``deferred`` is whether a notice to the channel was held.
    """

    alert: Alert
    context: DecisionContext
    channel: ChannelSpec
    last: LastNotification | None
    deferred: bool

    @property
    def least_severity(self) -> int:
        return _LEAST_SEVERITY[self.channel.severity]

    @property
    def is_failing(self) -> bool:
        return self.alert.status.severity >= self.least_severity and not self.context.is_deleted

    @property
    def is_new_failure(self) -> bool:
        """True when the check has recovered and failed again, and the store has lost the recovery."""
        return (
            self.last is not None
            and not self.last.flapping
            and self.last.notice != self.alert.transition
            and self.alert.old.severity < self.least_severity
        )

    def kind_and_suffix(self) -> tuple[NoticeKind | None, str]:
        """Return the kind of the notice to send, or None for no notice.

        The id of the notice is the id of the transition with a suffix. The second value is this suffix.
        """
        deferred_suffix = ":deferred" if self.deferred else ""
        if self.alert.flapping_since is not None and not self.context.is_deleted:
            worst_severity = max((severity for _, severity in self.alert.changes), default=0)
            is_new = worst_severity >= self.least_severity and not (self.last and self.last.flapping)
            return (NoticeKind.FLAPPING, deferred_suffix) if is_new else (None, "")
        if not self.is_failing:
            return self.kind_and_suffix_of_end()
        if self.last is not None and self.last.flapping:
            return NoticeKind.FIRING, ":settled"
        if self.last is None or self.last.status.severity < self.alert.status.severity or self.is_new_failure:
            return NoticeKind.FIRING, deferred_suffix
        return self._reminder()

    def kind_and_suffix_of_end(self) -> tuple[NoticeKind | None, str]:
        """Return ``RESOLVED`` and the suffix if a failure that the channel was notified of has ended.

        Return None and an empty suffix if it has not ended, or if the channel was not notified.
        """
        is_flapping = self.alert.flapping_since is not None and not self.context.is_deleted
        if self.last is None or self.is_failing or is_flapping:
            return None, ""
        if self.context.is_deleted:
            return NoticeKind.RESOLVED, ":gone"
        if self.last.flapping:
            return NoticeKind.RESOLVED, ":settled"
        # If no transition followed the last notice, the `severity` of the channel was changed. Both notices have the id
        # of the same transition then, so this one gets a suffix.
        return NoticeKind.RESOLVED, ":resolved" if self.last.notice == self.alert.transition else ""

    def can_be_held(self, kind: NoticeKind | None) -> bool:
        """Return whether a notice of this kind may be held: it reports that a failure begins or continues."""
        return kind in (NoticeKind.FIRING, NoticeKind.FLAPPING, NoticeKind.REMINDER)

    def notice(self, kind: NoticeKind, suffix: str) -> Notice:
        since = self.last.since if self.last is not None and kind is not NoticeKind.FIRING else self.alert.since
        is_deleted = self.context.is_deleted
        return Notice(
            id=self.alert.transition + suffix,
            kind=kind,
            check=self.alert.check,
            old=self.last.status if self.last is not None and kind is NoticeKind.RESOLVED else self.alert.old,
            status=Status.OK if is_deleted else self.alert.status,
            since=since,
            at=self.context.now,
            reason="gone" if is_deleted else self.alert.reason,
            message=self.context.message,
            labels=self.context.labels,
            data=self.context.data,
        )

    def last_after(self, kind: NoticeKind | None) -> LastNotification | None:
        """Return what to store as the last notice after a notice of this kind, or after none (``kind`` is None)."""
        alert, now, last = self.alert, self.context.now, self.last
        match kind:
            case NoticeKind.FIRING | NoticeKind.FLAPPING:
                since = last.since if last is not None and not self.is_new_failure else alert.since
                return LastNotification(
                    alert.status, since, now, alert.transition, flapping=kind is NoticeKind.FLAPPING
                )
            case NoticeKind.REMINDER if last is not None:
                return replace(last, at=now, reminders=last.reminders + 1)
            case NoticeKind.RESOLVED:
                return None
        if last is not None and not last.flapping and alert.status.severity < last.status.severity and self.is_failing:
            # The status is less severe now. This is not notified, but if it gets worse again, that is.
            return replace(last, status=alert.status)
        return last

    def _reminder(self) -> tuple[NoticeKind | None, str]:
        pause_seconds = self.channel.reminder_seconds
        if self.last is None or pause_seconds is None or self.context.now < self.last.at + pause_seconds:
            return None, ""
        return NoticeKind.REMINDER, f":reminder:{self.last.reminders + 1}"


def backoff_seconds(failures: int, first_seconds: float) -> float:
    """Return the pause after this number of failures in a row: ``first_seconds``, then twice as long each time.

    It is at most five minutes.
    """
    return min(first_seconds * 2.0 ** min(failures - 1, 30), LONGEST_BACKOFF_SECONDS)
