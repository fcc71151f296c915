"""Store of alerts, and outbox of their notices.

For each transition it is decided once which notices to send. A decision writes the changed alerts and the new notices.
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
    - ``may_be_incomplete`` is True when undecided transitions may be missing in ``transitions``. The states then have
      to be compared with the alerts. There are two cases. (1) Transitions were deleted from the stream before any
      process decided about them: ``transitions`` are then all that the stream still has. (2) No decision was ever made:
      ``transitions`` are then those of the last minute.
    - ``needs_decision`` is True when a decision has to be written even if no alert changes: entries were added to the
      stream since the last decision, or ``may_be_incomplete`` is True.
    """

    version: str
    cursor: str
    read_at: float
    transitions: tuple[Transition, ...]
    alerts: Mapping[str, Alert]
    silences: tuple[Silence, ...]
    may_be_incomplete: bool = False
    needs_decision: bool = False


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

    def undecided(self, token: str = "", *, all_alerts: bool = True, limit: int = 500) -> PendingDecisions | None:
        """Return the oldest ``limit`` undecided transitions, and the alerts of their checks.

        With ``all_alerts``, the alerts of all checks are returned. With a token, the caller also gets the turn to
        decide. While one token has the turn, calls with other tokens return None. The turn ends when a call without
        ``all_alerts`` finds no undecided transition, or five seconds after the token's last call. Without a token the
        method only reads.
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
        """Return the ``channels`` that have a notice to deliver now and on which no process has the lease."""
        ...

    def take(self, channel: str, token: str, *, lease_seconds: float) -> Delivery | None:
        """Take the lease on the channel and return its next notice; None when no notice is due.

        Return None also while another token has the lease. The next ``take`` with the same token renews the lease.
        The notices of a check are returned in order.
        """
        ...

    def leave(self, channel: str, token: str) -> None:
        """Release the lease on a channel, so that another process can take it."""
        ...

    def ack(self, delivery: Delivery) -> bool:
        """Delete a delivered notice. Return False when another process has already deleted it."""
        ...

    def retry(self, delivery: Delivery, *, after_seconds: float, pause_channel_seconds: float, reason: str) -> None:
        """Try a failed notice again after ``after_seconds``.

        For ``pause_channel_seconds``, no notice at all is delivered to its channel.
        """
        ...

    def bury(self, delivery: Delivery, reason: str) -> None:
        """Move a notice that will not be tried again to the dead letters."""
        ...

    def retire(self, *, configured_channels: Iterable[str], before: float) -> int:
        """Move notices of channels that are not configured to the dead letters. Return the number of these notices.

        Only notices that were created at the time ``before`` or earlier are moved.
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
