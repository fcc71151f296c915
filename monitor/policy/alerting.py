"""Whom to tell what: from an alert as it was, and a transition or the time that has passed.

Pure: no IO, no clock. The rules, in words, are in docs/alerting.md.
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

ROLL_OUT_SECONDS = 3600.0
"""For so long two configurations may be in force beside each other, whose channels differ."""
LONGEST_BACKOFF_SECONDS = 300.0

_LEVELS = {"warning": 1, "error": 2}


@dataclass(frozen=True)
class DecisionContext:
    """What a decision about one check depends on besides what happened.

    ``channels`` are those that shall be told of it, ``configured`` all there are. ``hold`` is why nobody is told that
    something begins. ``message`` and ``data`` are of the check's newest result. A check that is ``gone`` fails no more.
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
    gone: bool = False


def evaluate(
    alert: Alert | None, transition: Transition | None, context: DecisionContext
) -> tuple[Alert | None, Notices]:
    """The alert after a transition, or after some time when that is None, and who is told what, by channel.

    None is the alert of a check of which there is nothing to remember: it is ok, and nobody was told otherwise. The
    transitions of a check come in the order of the stream; sequences are not compared, since a step of the store's
    clock or a fail-over may take them back. The transition that the alert has already changes nothing.
    """
    alert = _observed(alert, transition)
    if alert is None:
        return None, ()
    oldest = context.now - context.flap_window_seconds
    recent = tuple(change for change in alert.changes if change[0] > oldest)
    alert = replace(alert, changes=recent[-context.flap_changes :])
    alert = replace(alert, told={name: told for name, told in alert.told.items() if _is_kept(name, alert, context)})
    if alert.flapping_since is not None and not alert.changes:
        alert = replace(alert, flapping_since=None)
    elif alert.flapping_since is None and len(alert.changes) >= context.flap_changes:
        alert = replace(alert, flapping_since=context.now)
    return _told(alert, context)


def channels_for(
    check: str, labels: Mapping[str, str], groups: Collection[str], channels: Mapping[str, ChannelSpec]
) -> tuple[ChannelSpec, ...]:
    """The channels that shall be told of a check: its name fits, it has their labels and is in one of their groups."""
    return tuple(channel for channel in channels.values() if channel.wants(check, labels, groups))


def _observed(alert: Alert | None, transition: Transition | None) -> Alert | None:
    if transition is None or (alert is not None and transition.id == alert.transition):
        return alert
    changes = alert.changes if alert else ()
    # Having been observed for the first time is no change.
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
    """A channel that this configuration does not have may be of one that is being rolled out."""
    newest = max(alert.since, alert.told[channel].at)
    return channel in context.configured or context.now - newest < ROLL_OUT_SECONDS


def _told(alert: Alert, context: DecisionContext) -> tuple[Alert | None, Notices]:
    told, deferred, notices = dict(alert.told), set(alert.deferred) & set(context.configured), []
    untold = False
    wanted = {channel.name: channel for channel in context.channels}
    for name in [*wanted, *(name for name in told if name not in wanted and name in context.configured)]:
        decision = _Decision(alert, context, context.configured[name], told.get(name), name in deferred)
        kind, suffix = decision.kind() if name in wanted else decision.ending()
        if decision.begins(kind) and context.hold is not None:
            untold = True
            if context.hold.defers:
                deferred.add(name)
            continue
        deferred.discard(name)
        if kind is not None and (kind is not NoticeKind.RESOLVED or decision.channel.resolved):
            notices.append((name, decision.notice(kind, suffix)))
        after = decision.told_after(kind)
        if after is None:
            told.pop(name, None)
        else:
            told[name] = after
    hold = context.hold if untold else None
    alert = replace(
        alert,
        told=told,
        deferred=tuple(sorted(deferred)),
        held=hold.reason if hold else None,
        held_by=hold.by if hold else None,
    )
    remembered = alert.status.severity > 0 or told or alert.changes or alert.flapping_since is not None
    return (alert if remembered and not context.gone else None), tuple(notices)


@dataclass(frozen=True)
class _Decision:
    """About one check and one channel."""

    alert: Alert
    context: DecisionContext
    channel: ChannelSpec
    told: LastNotification | None
    deferred: bool

    @property
    def level(self) -> int:
        return _LEVELS[self.channel.severity]

    @property
    def fires(self) -> bool:
        return self.alert.status.severity >= self.level and not self.context.gone

    @property
    def began_anew(self) -> bool:
        """Whether it failed again after an end that the store has lost."""
        return (
            self.told is not None
            and not self.told.flapping
            and self.told.notice != self.alert.transition
            and self.alert.old.severity < self.level
        )

    def kind(self) -> tuple[NoticeKind | None, str]:
        """What to tell, if anything, and what its id adds to the transition's."""
        late = ":deferred" if self.deferred else ""
        if self.alert.flapping_since is not None and not self.context.gone:
            concerned = max((severity for _, severity in self.alert.changes), default=0) >= self.level
            news = concerned and not (self.told and self.told.flapping)
            return (NoticeKind.FLAPPING, late) if news else (None, "")
        if not self.fires:
            return self.ending()
        if self.told is not None and self.told.flapping:
            return NoticeKind.FIRING, ":settled"
        if self.told is None or self.told.status.severity < self.alert.status.severity or self.began_anew:
            return NoticeKind.FIRING, late
        return self._reminder()

    def ending(self) -> tuple[NoticeKind | None, str]:
        """The same for a channel that need not be told of this check any more, but was."""
        if self.told is None or self.fires or (self.alert.flapping_since is not None and not self.context.gone):
            return None, ""
        if self.context.gone:
            return NoticeKind.RESOLVED, ":gone"
        if self.told.flapping:
            return NoticeKind.RESOLVED, ":settled"
        # Without a transition since it was told, it is the channel's severity that has changed.
        return NoticeKind.RESOLVED, ":resolved" if self.told.notice == self.alert.transition else ""

    def begins(self, kind: NoticeKind | None) -> bool:
        """Whether this is held while the check is silenced, in maintenance or without its parents."""
        return kind in (NoticeKind.FIRING, NoticeKind.FLAPPING, NoticeKind.REMINDER)

    def notice(self, kind: NoticeKind, suffix: str) -> Notice:
        began = self.told.since if self.told is not None and kind is not NoticeKind.FIRING else self.alert.since
        gone = self.context.gone
        return Notice(
            id=self.alert.transition + suffix,
            kind=kind,
            check=self.alert.check,
            old=self.told.status if self.told is not None and kind is NoticeKind.RESOLVED else self.alert.old,
            status=Status.OK if gone else self.alert.status,
            since=began,
            at=self.context.now,
            reason="gone" if gone else self.alert.reason,
            message=self.context.message,
            labels=self.context.labels,
            data=self.context.data,
        )

    def told_after(self, kind: NoticeKind | None) -> LastNotification | None:
        alert, now, told = self.alert, self.context.now, self.told
        match kind:
            case NoticeKind.FIRING | NoticeKind.FLAPPING:
                since = told.since if told is not None and not self.began_anew else alert.since
                return LastNotification(
                    alert.status, since, now, alert.transition, flapping=kind is NoticeKind.FLAPPING
                )
            case NoticeKind.REMINDER if told is not None:
                return replace(told, at=now, reminders=told.reminders + 1)
            case NoticeKind.RESOLVED:
                return None
        if told is not None and not told.flapping and alert.status.severity < told.status.severity and self.fires:
            return replace(told, status=alert.status)  # milder, and no news; worse again would be
        return told

    def _reminder(self) -> tuple[NoticeKind | None, str]:
        every = self.channel.reminder_seconds
        if self.told is None or every is None or self.context.now < self.told.at + every:
            return None, ""
        return NoticeKind.REMINDER, f":reminder:{self.told.reminders + 1}"


def backoff_seconds(failures: int, first_seconds: float) -> float:
    """How long to wait after so many failures: doubling from the first, up to five minutes."""
    return min(first_seconds * 2.0 ** min(failures - 1, 30), LONGEST_BACKOFF_SECONDS)
