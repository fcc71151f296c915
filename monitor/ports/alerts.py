"""Alerts: decided once, delivered at least once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from monitor.model.alerts import Alert, AlertsOverview, Silence
from monitor.model.checks import Notice, Transition


@dataclass(frozen=True, slots=True)
class PendingDecisions:
    """What nobody has decided yet whom to tell of, and what that depends on.

    ``transitions`` are the oldest; ``alerts`` those of their checks, or all. ``broken`` tells that some transitions may
    have been lost since the last decision (or that there was none): then ``transitions`` are all that are stored (of
    the last minute, if there was none), and the states have to be compared with them. ``moved`` tells that there is
    something behind the cursor. ``version`` changes with every decision.
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
    """A notice that is ours to deliver for the time of a lease. ``failures`` of its channel in a row came before."""

    channel: str
    token: str
    notice: Notice
    attempts: int
    failures: int
    taken_at: float
    raw: bytes = field(repr=False, compare=False)


class DeliveryFailure(NamedTuple):
    """Why a notice was not delivered, without secrets. ``permanent``: another try would end the same way."""

    reason: str
    permanent: bool = False
    retry_after_seconds: float | None = None


class Outbox(Protocol):
    """Where alerts are decided once, and notices wait until they are told. Every method may raise StoreUnavailable."""

    def undecided(self, token: str = "", *, everything: bool = True, limit: int = 500) -> PendingDecisions | None:
        """What is to be decided now, with the alerts of all checks if ``everything``.

        With a token, it is that one's turn to decide until it is told that nothing is left (or stops asking for some
        seconds); None while it is another's. Without one it only looks.
        """
        ...

    def decide(
        self, seen: PendingDecisions, alerts: Mapping[str, Alert | None], notices: Sequence[tuple[str, Notice]]
    ) -> bool:
        """Write a decision: the alerts that changed (None for one to forget), and notices with their channels.

        All of it is written, or, when somebody else has decided since ``seen``, nothing: then False.
        """
        ...

    def due(self, channels: Iterable[str]) -> list[str]:
        """Those of ``channels`` that have something to tell now, and that nobody is at."""
        ...

    def take(self, channel: str, token: str, *, lease_seconds: float) -> Delivery | None:
        """The next notice of a channel, under a lease; None when there is none now or another token holds the channel.

        Notices of one check are delivered in order; the lease is on the channel, and prolonged by the next ``take``.
        """
        ...

    def leave(self, channel: str, token: str) -> None:
        """Let go of a channel, for somebody else to go on."""
        ...

    def ack(self, delivery: Delivery) -> bool:
        """It was told. False when somebody else has said so before."""
        ...

    def retry(self, delivery: Delivery, *, after_seconds: float, hold_seconds: float, reason: str) -> None:
        """It was not told: try again later, and no other notice of this channel for ``hold_seconds``."""
        ...

    def bury(self, delivery: Delivery, reason: str) -> None:
        """It will never be told: a dead letter."""
        ...

    def retire(self, channels: Iterable[str], *, before: float) -> int:
        """Bury what has waited since ``before`` for channels other than these. Returns how many notices."""
        ...

    def silence(self, checks: str, *, for_seconds: float, why: str, by: str = "") -> Silence:
        """Silence the checks whose names this pattern fits."""
        ...

    def unsilence(self, silence_id: str) -> bool:
        """End a silence. False when there is none of that id."""
        ...

    def overview(self) -> AlertsOverview:
        """All there is to know of alerting."""
        ...
