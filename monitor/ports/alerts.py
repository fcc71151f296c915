"""Outbox of alerts. Each transition is decided once: a decision writes the changed alerts and the new notices.

Each notice is delivered at least once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from monitor.model.alerts import Alert, AlertsOverview, Silence
from monitor.model.checks import Notice, Transition


@dataclass(frozen=True, slots=True)
class PendingDecisions:
    """The transitions that no process has decided about yet, and the data that a decision about them needs.

    - ``version`` is the number of the last decision. The store accepts a new decision only if this number is unchanged.
    - ``cursor`` is the stream id up to which transitions were read. The next decision starts after this id.
    - ``transitions`` are the undecided transitions, the oldest first.
    - ``alerts`` are the alerts of the checks in ``transitions``, or of all checks (see :meth:`Outbox.undecided`).
    - ``silences`` are the silences that have not ended.
    - ``broken`` is True when ``transitions`` may be incomplete, so that the states have to be compared with the alerts.
      There are two cases. (1) Transitions were deleted before a decision: ``transitions`` are then all stored ones.
      (2) No decision was ever made: ``transitions`` are then those of the last minute.
    - ``moved`` is True when ``broken`` is, or when entries were added to the stream since the last decision.
    """

    version: str
    cursor: str
    read_at: float
    transitions: tuple[Transition, ...]
    alerts: Mapping[str, Alert]
    silences: tuple[Silence, ...]
    broken: bool = False
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notice that this process may deliver until its lease on the channel ends.

    ``attempts`` counts the failed deliveries of this notice. ``failures`` counts the failed deliveries to the channel
    since its last successful one. ``raw`` is the stored notice.
    """

    channel: str
    token: str
    notice: Notice
    attempts: int
    failures: int
    taken_at: float
    raw: bytes = field(repr=False, compare=False)


class DeliveryFailure(NamedTuple):
    """The reason for a failed delivery, without secrets.

    ``permanent`` is True when another attempt would fail in the same way.
    """

    reason: str
    permanent: bool = False
    retry_after_seconds: float | None = None


class Outbox(Protocol):
    """Store of alerts and of the notices that wait for delivery. Every method may raise StoreUnavailable."""

    def undecided(self, token: str = "", *, everything: bool = True, limit: int = 500) -> PendingDecisions | None:
        """Return the oldest ``limit`` undecided transitions, and the alerts of their checks.

        With ``everything``, the alerts of all checks are returned. With a token, the caller also gets the turn to
        decide. While one token has the turn, calls with other tokens return None. The turn ends when no undecided
        transition is left, or five seconds after the token's last call. Without a token the method only reads.
        """
        ...

    def decide(
        self, pending: PendingDecisions, alerts: Mapping[str, Alert | None], notices: Sequence[tuple[str, Notice]]
    ) -> bool:
        """Write a decision: the changed alerts, and the new notices as (channel, notice).

        An alert of None deletes the alert of the check. When another process has decided since ``pending`` was read,
        write nothing and return False.
        """
        ...

    def due(self, channels: Iterable[str]) -> list[str]:
        """Return the ``channels`` that have a notice to deliver now and that no process holds."""
        ...

    def take(self, channel: str, token: str, *, lease_seconds: float) -> Delivery | None:
        """Take the lease on the channel and return its next notice; None when no notice is due.

        Return None also while another token holds the lease. The next ``take`` with the same token renews the lease.
        The notices of a check are returned in order.
        """
        ...

    def leave(self, channel: str, token: str) -> None:
        """Release the lease on a channel, so that another process can take it."""
        ...

    def ack(self, delivery: Delivery) -> bool:
        """Delete a delivered notice. Return False when another process has already deleted it."""
        ...

    def retry(self, delivery: Delivery, *, after_seconds: float, hold_seconds: float, reason: str) -> None:
        """Try a failed notice again after ``after_seconds``. Deliver nothing to its channel for ``hold_seconds``."""
        ...

    def bury(self, delivery: Delivery, reason: str) -> None:
        """Move a notice that will not be tried again to the dead letters."""
        ...

    def retire(self, channels: Iterable[str], *, before: float) -> int:
        """Move the notices of all channels that are not in ``channels`` to the dead letters, if older than ``before``.

        Return the number of moved notices.
        """
        ...

    def silence(self, checks: str, *, for_seconds: float, why: str, by: str = "") -> Silence:
        """Silence the checks whose names match the pattern ``checks``."""
        ...

    def unsilence(self, silence_id: str) -> bool:
        """End a silence. Return False when no silence has this id."""
        ...

    def overview(self) -> AlertsOverview:
        """Return all alerts, silences and delivery queues, and the newest dead letters."""
        ...
