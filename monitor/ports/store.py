"""The store, made of states, history, alerts and workers."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Protocol

from monitor.agent.identity import Identity
from monitor.model.checks import Changes, Flight, Notice, Snapshot, State, Transition, Window
from monitor.ports.alerts import DeliveryFailure, Outbox
from monitor.ports.history import History
from monitor.ports.workers import WorkerRegistry

Reducer = Callable[[State | None], tuple[State, tuple[Transition, ...]]]


class StoreUnavailable(Exception):
    """The store did not answer in time, or answered with an error. Its text is free of credentials.

    ``reason`` is the code of the error that it answered; None when it did not answer.
    """

    def __init__(self, text: str = "", reason: str | None = None) -> None:
        super().__init__(text)
        self.reason = reason


class FlightRefused(Exception):
    """The flight cannot be taken: ``reason`` is ``busy`` (somebody holds it) or ``overdue``."""

    def __init__(self, check: str, reason: str) -> None:
        super().__init__(f"{check}: {reason}")
        self.check = check
        self.reason = reason


class FlightLost(Exception):
    """The flight's lease ran out, or somebody else has taken the check since: nothing was written."""


class StateStore(Protocol):
    """The states of the checks, and the flights and windows by which they are written.

    Every method may raise :class:`StoreUnavailable`; none blocks longer than its timeouts.
    """

    def now(self) -> float:
        """The store's clock, in seconds since the Unix epoch."""
        ...

    def take(self, check: str, run_id: str, *, lease_seconds: float, overdue_at: float | None = None) -> Flight:
        """Take the check's flight, or raise :class:`FlightRefused`.

        Idempotent per ``run_id``. Refused as ``overdue`` once the store's clock has passed ``overdue_at``. The flight
        brings the memory of the check's last run.
        """
        ...

    def update(self, flight: Flight, reducer: Reducer, *, memory: str | None = None) -> tuple[Transition, ...]:
        """Replace the state of ``flight.check`` by ``reducer(state)`` and free the flight: one optimistic transaction.

        State, history, transitions and ``memory`` (unless None) are written together or not at all. Applied once per
        ``flight.run_id`` even when a reply is lost. Raises :class:`FlightLost` when the flight is no longer the
        current one.
        """
        ...

    def update_many(
        self, flight: Flight, reducers: Mapping[str, Reducer], *, history: Container[str] = ()
    ) -> dict[str, tuple[Transition, ...]]:
        """Replace the states of several checks that one flight observed; the transitions of each.

        Each check as in :meth:`update`, but the flight, whose own check is none of them, is kept: several calls may
        follow one another, and then :meth:`release`. Only checks in ``history`` leave a sample there.
        """
        ...

    def release(self, flight: Flight) -> None:
        """Free a flight without a result; does nothing when it is no longer ours."""
        ...

    def claim_window(self, fingerprint: str, *, at_least_seconds: float = 0.0) -> Window | None:
        """Claim the time since the last claim, so that each moment is dispatched by one dispatcher only.

        None when the last claim is younger than ``at_least_seconds``.
        """
        ...

    def dispatched_at(self) -> float | None:
        """When the last window was claimed, by the store's clock; None when there has been none."""
        ...

    def read(self, checks: Iterable[str] | None = None) -> Snapshot:
        """The states of ``checks`` (all when None). What cannot be understood is left out."""
        ...

    def changes(self, cursor: str | None) -> Changes:
        """What was written since ``cursor`` (everything when None, or when the cursor means nothing any more)."""
        ...

    def transitions(self, *, after: str | None = None, limit: int = 100) -> list[tuple[str, Transition]]:
        """Stored transitions, oldest first, as (cursor, transition), after the given cursor."""
        ...

    def forget(self, checks: Iterable[str]) -> None:
        """Remove everything about ``checks`` but their past transitions."""
        ...


Send = Callable[[Notice], DeliveryFailure | None]
"""Tells a notice, within the time of its channel; None when it was told."""


class Ownership(Protocol):
    """The record of the project that a store belongs to. Every method may raise :class:`StoreUnavailable`."""

    def read(self) -> Identity | None:
        """Return whose store it is; None while it is nobody's."""
        ...

    def claim(self, project: Identity) -> Identity | None:
        """Make the store this project's if it is nobody's or the same; return whose it is then."""
        ...

    def take_over(self, project: Identity) -> Identity | None:
        """Make the store this project's, and return whose it was."""
        ...


class Store(Protocol):
    """A store: its parts, each for who needs it, and what concerns all of them."""

    @property
    def states(self) -> StateStore:
        """The states of the checks."""
        ...

    @property
    def history(self) -> History:
        """What was observed."""
        ...

    @property
    def alerts(self) -> Outbox:
        """Alerts, and the notices that wait to be delivered."""
        ...

    @property
    def workers(self) -> WorkerRegistry:
        """What the project's workers write."""
        ...

    @property
    def ownership(self) -> Ownership:
        """The record of the project that the store belongs to."""
        ...

    def set_aside(self) -> Mapping[str, int]:
        """Return how many values were set aside so far, by kind: stored by another program, or damaged.

        Removes what is beyond all limits. Raises :class:`StoreUnavailable`.
        """
        ...

    def refusal(self) -> str | None:
        """Return the reason why the store takes no writes, as far as a read shows it. Raises StoreUnavailable."""
        ...

    def close(self) -> None:
        """Close the idle connections. The next call opens one again."""
        ...
