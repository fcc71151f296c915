"""The values of alerting: what was told to whom, what waits to be told, and what nobody wants to hear now.

Times are seconds since the Unix epoch by the store's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.model.checks import Amount, CheckName, Count, Label, Moment, Notice, Status, transition_id


@dataclass(frozen=True, slots=True)
class LastNotification:
    """What a channel knows of a check that fails: what it was told last, when, and since when it is so.

    ``notice`` is the id of the transition behind it, ``reminders`` how often it was told again.
    """

    status: Status
    since: Moment
    at: Moment
    notice: str
    reminders: Count = 0
    flapping: bool = False


@dataclass(frozen=True, slots=True)
class Alert:
    """What alerting remembers of a check that fails, failed a moment ago, or of which somebody was told.

    ``told`` is by channel. ``changes`` are the moments at which the severity changed, and to what. ``held`` says why
    somebody who would be told is not: ``silenced``, ``maintenance``, ``parent``, ``waiting`` (until what it depends on
    was observed as well); ``held_by`` which silence, window or check that is; ``deferred`` names these channels.
    ``sequence`` and ``run_id`` are those of the transition that brought its status.
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
        """Return the id of the transition that brought its status."""
        return transition_id(self.check, self.sequence, self.run_id)


@dataclass(frozen=True, slots=True)
class Silence:
    """Somebody knows: until then nobody is told that a check fails whose name ``checks`` (a pattern) fits."""

    id: Label
    checks: str
    since: Moment
    until: Amount
    why: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A notice that its channel was never told, and why. ``reason`` is free of secrets."""

    channel: Label
    notice: Notice
    reason: str
    at: Moment
    attempts: Count


@dataclass(frozen=True, slots=True)
class DeliveryQueue:
    """What waits to be told by one channel. ``held_until`` is when it is tried again after failures in a row."""

    channel: str
    pending: int
    oldest_at: float | None = None
    failures: int = 0
    held_until: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class AlertsOverview:
    """All there is to know of alerting at one moment of the store's clock. ``dead_letters`` are the newest first."""

    read_at: float
    alerts: tuple[Alert, ...] = ()
    silences: tuple[Silence, ...] = ()
    lanes: tuple[DeliveryQueue, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    dead_letter_count: int = 0

    @property
    def oldest_pending_at(self) -> float | None:
        """Since when the oldest notice waits; None when none does."""
        return min((lane.oldest_at for lane in self.lanes if lane.oldest_at is not None), default=None)
