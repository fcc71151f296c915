"""Outbox of alerts: each transition is decided once, each notice is delivered at least once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from monitor.model.alerts import Alert, AlertsOverview, Silence
from monitor.model.checks import Notice, Transition


@dataclass(frozen=True, slots=True)
class PendingDecisions:
    """The transitions that no process has decided about yet, and the data that the decision needs.

    - ``version`` changes with every decision.
    - ``cursor`` is the place in the stream after ``transitions``.
    - ``transitions`` are the oldest undecided ones.
    - ``alerts`` are the alerts of their checks, or all alerts. ``silences`` are the active ones.
    - ``broken`` is True when transitions may have been lost since the last decision, or when no decision was ever made.
      In the first case ``transitions`` are all that are stored, in the second those of the last minute. In both cases
      the states have to be compared with the alerts.
    - ``moved`` is True when the stream has entries after the last decision.
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
    """A notice that this process may deliver until its lease ends.

    ``failures`` counts the failed attempts of the channel in a row before this one.
    """

    channel: str
    token: str
    notice: Notice
    attempts: int
    failures: int
    taken_at: float
    raw: bytes = field(repr=False, compare=False)


class DeliveryFailure(NamedTuple):
    """The reason for a failed delivery, without secrets. ``permanent``: another attempt would fail in the same way."""

    reason: str
    permanent: bool = False
    retry_after_seconds: float | None = None


class Outbox(Protocol):
    """Store of alerts and of the notices that wait for delivery. Every method may raise StoreUnavailable."""

    def undecided(self, token: str = "", *, everything: bool = True, limit: int = 500) -> PendingDecisions | None:
        """Return what has to be decided now, with the alerts of all checks if ``everything``.

        With a token, the caller gets the turn to decide. It keeps the turn until nothing is left, or until it has not
        called for some seconds; meanwhile other tokens get None. Without a token the method only reads.
        """
        ...

    def decide(
        self, pending: PendingDecisions, alerts: Mapping[str, Alert | None], notices: Sequence[tuple[str, Notice]]
    ) -> bool:
        """Write a decision: the changed alerts (None deletes one), and notices with the names of their channels.

        Write all of it, or nothing and return False when another process has decided since ``pending`` was read.
        """
        ...

    def due(self, channels: Iterable[str]) -> list[str]:
        """Return those of ``channels`` that have a notice to deliver now and that no process is delivering to."""
        ...

    def take(self, channel: str, token: str, *, lease_seconds: float) -> Delivery | None:
        """Return the channel's next notice under a lease; None when none is due or another token holds the channel.

        Notices of one check are delivered in order. The lease is on the channel, and the next ``take`` prolongs it.
        """
        ...

    def leave(self, channel: str, token: str) -> None:
        """Release a channel, so that another process can continue."""
        ...

    def ack(self, delivery: Delivery) -> bool:
        """Remove a delivered notice. Return False when another process has removed it before."""
        ...

    def retry(self, delivery: Delivery, *, after_seconds: float, hold_seconds: float, reason: str) -> None:
        """Schedule a failed notice for a later attempt, and hold all notices of the channel for ``hold_seconds``."""
        ...

    def bury(self, delivery: Delivery, reason: str) -> None:
        """Move a notice that will not be tried again to the dead letters."""
        ...

    def retire(self, channels: Iterable[str], *, before: float) -> int:
        """Move notices of other channels that have waited since ``before`` to the dead letters. Return their number."""
        ...

    def silence(self, checks: str, *, for_seconds: float, why: str, by: str = "") -> Silence:
        """Silence the checks whose names match the pattern ``checks``."""
        ...

    def unsilence(self, silence_id: str) -> bool:
        """End a silence. Return False when no silence has this id."""
        ...

    def overview(self) -> AlertsOverview:
        """Return the complete state of alerting."""
        ...
