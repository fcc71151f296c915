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

    ``status`` and ``since`` are the ones that it reported, ``at`` is when it was decided. ``notice`` is the id of the
    transition that caused it, ``reminders`` is the number of reminders sent since.
    """

    status: Status
    since: Moment
    at: Moment
    notice: str
    reminders: Count = 0
    flapping: bool = False


@dataclass(frozen=True, slots=True)
class Alert:
    """The alerting state of a check that fails, has just recovered, or has an open notification.

    - ``told`` is the last notification of each channel.
    - ``changes`` are the times at which the severity changed, with the new severity.
    - ``held`` is the reason why a due notification is not sent: ``silenced``, ``maintenance``, ``parent``, or
      ``waiting`` (until a check that it depends on was observed as well).
    - ``held_by`` names the silence, the maintenance window or the check that holds it.
    - ``deferred`` names the channels that it is held for.
    - ``sequence`` and ``run_id`` are those of the transition that led to the current status.
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
    """A pattern of check names (``checks``) whose failures send no notification until a given time.

    ``why`` and ``by`` are the operator's reason and name.
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

    ``failures`` counts the failed attempts in a row. After failures the channel is tried again at ``held_until``.
    """

    channel: str
    pending: int
    oldest_at: float | None = None
    failures: int = 0
    held_until: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class AlertsOverview:
    """The complete state of alerting at one moment of the store's clock.

    ``dead_letters`` are the newest ones, the newest first; ``dead_letter_count`` counts all that are stored.
    """

    read_at: float
    alerts: tuple[Alert, ...] = ()
    silences: tuple[Silence, ...] = ()
    queues: tuple[DeliveryQueue, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    dead_letter_count: int = 0

    @property
    def oldest_pending_at(self) -> float | None:
        """Return the time since which the oldest pending notice waits; None when none is pending."""
        return min((queue.oldest_at for queue in self.queues if queue.oldest_at is not None), default=None)
