"""Store: states, history, alerts, workers and the record of the store's project."""

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
    """Error: the store did not answer in time, or answered with an error. The text contains no credentials.

    ``reason`` is the code of the error that it returned; None when it did not answer.
    """

    def __init__(self, text: str = "", reason: str | None = None) -> None:
        super().__init__(text)
        self.reason = reason


class FlightRefused(Exception):
    """Error: the flight cannot be taken. ``reason`` is ``busy`` (another run holds it) or ``overdue``."""

    def __init__(self, check: str, reason: str) -> None:
        super().__init__(f"{check}: {reason}")
        self.check = check
        self.reason = reason


class FlightLost(Exception):
    """Error: the flight's lease has ended, or another run holds the flight. Nothing was written."""


class StateStore(Protocol):
    """Store of the checks' states, and of the flights and dispatch windows that control the writing.

    Every method may raise :class:`StoreUnavailable`. None blocks longer than its timeouts.
    """

    def now(self) -> float:
        """Return the time of the store's clock, in seconds since the Unix epoch."""
        ...

    def take(self, check: str, run_id: str, *, lease_seconds: float, overdue_at: float | None = None) -> Flight:
        """Take the check's flight, or raise :class:`FlightRefused`.

        Idempotent for each ``run_id``. Refused as ``overdue`` once the store's clock has passed ``overdue_at``. The
        flight contains the memory of the check's last run.
        """
        ...

    def update(self, flight: Flight, reducer: Reducer, *, memory: str | None = None) -> tuple[Transition, ...]:
        """Replace the state of ``flight.check`` by ``reducer(state)`` and release the flight.

        State, history, transitions and ``memory`` (unless None) are written together or not at all, in one optimistic
        transaction. It is applied once for each ``flight.run_id``, even when a reply is lost. Return the transitions.
        Raise :class:`FlightLost` when the flight is no longer the current one.
        """
        ...

    def update_many(
        self, flight: Flight, reducers: Mapping[str, Reducer], *, history: Container[str] = ()
    ) -> dict[str, tuple[Transition, ...]]:
        """Replace the states of several checks that one flight observed. Return the transitions of each check.

        Each check is written as in :meth:`update`, but the flight is kept, and its own check is not among ``reducers``.
        Several calls may follow one another, then :meth:`release`. Only the checks in ``history`` get a sample.
        """
        ...

    def release(self, flight: Flight) -> None:
        """Release a flight without a result. Do nothing when another run holds it."""
        ...

    def claim_window(self, fingerprint: str, *, at_least_seconds: float = 0.0) -> Window | None:
        """Claim the time since the last claim, so that each moment is dispatched by one process only.

        Return None when the last claim is younger than ``at_least_seconds``.
        """
        ...

    def dispatched_at(self) -> float | None:
        """Return the store's time of the last claimed window; None when there is none."""
        ...

    def read(self, checks: Iterable[str] | None = None) -> Snapshot:
        """Return the states of ``checks``, of all checks when None. States that cannot be decoded are left out."""
        ...

    def changes(self, cursor: str | None) -> Changes:
        """Return the states written since ``cursor``; all of them when it is None or no longer valid."""
        ...

    def transitions(self, *, after: str | None = None, limit: int = 100) -> list[tuple[str, Transition]]:
        """Return up to ``limit`` transitions after the cursor ``after``, oldest first, as (cursor, transition)."""
        ...

    def forget(self, checks: Iterable[str]) -> None:
        """Delete everything about ``checks`` except their past transitions."""
        ...


Send = Callable[[Notice], DeliveryFailure | None]
"""Sends a notice within the timeout of its channel. Returns None when it was delivered."""


class Ownership(Protocol):
    """The record of the project that a store belongs to. Every method may raise :class:`StoreUnavailable`."""

    def read(self) -> Identity | None:
        """Return the project that owns the store; None when none does."""
        ...

    def claim(self, project: Identity) -> Identity | None:
        """Make ``project`` the owner if the store has no owner or this one. Return the owner."""
        ...

    def take_over(self, project: Identity) -> Identity | None:
        """Make ``project`` the owner. Return the previous one."""
        ...


class Store(Protocol):
    """The complete store. Each user takes the store that it needs; the methods here concern all of them."""

    @property
    def states(self) -> StateStore:
        """Return the store of the checks' states."""
        ...

    @property
    def history(self) -> History:
        """Return the reader of past results."""
        ...

    @property
    def alerts(self) -> Outbox:
        """Return the store of alerts and pending notices."""
        ...

    @property
    def workers(self) -> WorkerRegistry:
        """Return the registry of the project's workers."""
        ...

    @property
    def ownership(self) -> Ownership:
        """Return the record of the project that the store belongs to."""
        ...

    def set_aside(self) -> Mapping[str, int]:
        """Return the number of rejected values so far, by kind: values that another program stored, or damaged ones.

        Delete what exceeds all limits. Raise :class:`StoreUnavailable`.
        """
        ...

    def refusal(self) -> str | None:
        """Return the reason code for which the store refuses writes; None for none. Raise StoreUnavailable."""
        ...

    def close(self) -> None:
        """Close the idle connections. The next call opens one again."""
        ...
