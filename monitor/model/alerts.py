"""Values of alerting: open alerts, sent and pending notifications, silences and dead letters.

Times are seconds since the Unix epoch by the store's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.model.checks import Amount, CheckName, Count, Label, Moment, Notice, Status, transition_id


@dataclass(frozen=True, slots=True)
class LastNotification:
    """The last notification that a channel received about a failing check.

    - ``status`` and ``since`` are the reported status of the check, and the time since which it had this status.
    - ``at`` is the time at which the notification was decided.
    - ``notice`` is the id of the transition that caused the notification.
    - ``reminders`` is the number of reminders sent after the notification.
    """

    status: Status
    since: Moment
    at: Moment
    notice: str
    reminders: Count = 0
    flapping: bool = False


@dataclass(frozen=True, slots=True)
class Alert:
    """The alerting state of a check that fails, that has just recovered, or whose recovery still has to be notified.

    - ``told`` maps each channel to its last notification.
    - ``changes`` are the last changes of severity, each as (time, new severity).
    - ``held`` is the reason why a due notification is not sent: ``silenced``, ``maintenance``, ``parent``
      (a check that this check depends on fails), or ``waiting`` (for the next run of such a check).
    - ``held_by`` is the silence, the maintenance window or the check that holds the notification.
    - ``deferred`` are the channels to which the held notification will be sent after the hold.
    - ``sequence`` and ``run_id`` are copied from the transition that led to the current status.
    """

    check: CheckName
    status: Status
    old: Status
    since: Moment
    sequence: Count
    reason: str | None = None
    told: Mapping[Label, LastNotification] = field(default_factory=dict)
    changes: tuple[tuple[Moment, int], ...] = ()
    flapping_since: Moment | None = None
    held: str | None = None
    held_by: str | None = None
    deferred: tuple[str, ...] = ()
    run_id: str = ""

    @property
    def transition(self) -> str:
        """Return the id of the transition that led to the current status."""
        return transition_id(self.check, self.sequence, self.run_id)


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence: checks whose names match the pattern ``checks`` send no notification from ``since`` to ``until``.

    ``why`` is the operator's reason, ``by`` the operator's name.
    """

    id: Label
    checks: str
    since: Moment
    until: Amount
    why: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A notice that could not be delivered, and the reason, which contains no secrets."""

    channel: Label
    notice: Notice
    reason: str
    at: Moment
    attempts: Count


@dataclass(frozen=True, slots=True)
class DeliveryQueue:
    """The notices that wait for one channel.

    ``failures`` counts the failed deliveries since the last successful one. No notice is delivered to the channel
    before ``held_until``. ``reason`` is the reason of the last failure.
    """

    channel: str
    pending: int
    oldest_at: float | None = None
    failures: int = 0
    held_until: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class AlertsOverview:
    """All alerts, silences and delivery queues, and the newest dead letters, at the time ``read_at``.

    ``dead_letters`` is sorted, the newest first. ``dead_letter_count`` is the number of all stored dead letters.
    """

    read_at: float
    alerts: tuple[Alert, ...] = ()
    silences: tuple[Silence, ...] = ()
    queues: tuple[DeliveryQueue, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    dead_letter_count: int = 0

    @property
    def oldest_pending_at(self) -> float | None:
        """Return the time at which the oldest pending notice was decided; None when no notice is pending."""
        return min((queue.oldest_at for queue in self.queues if queue.oldest_at is not None), default=None)
