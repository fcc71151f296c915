"""What the use cases need from the outside world."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Protocol

from monitor.config import CheckSpec
from monitor.model import Changes, Flight, Outcome, Snapshot, State, Transition, Window

Reducer = Callable[[State | None], tuple[State, tuple[Transition, ...]]]


class StoreUnavailable(Exception):
    """The store did not answer in time, or answered with an error. Its text is free of credentials."""


class FlightRefused(Exception):
    """The flight cannot be taken: ``reason`` is ``busy`` (somebody holds it) or ``overdue``."""

    def __init__(self, check: str, reason: str) -> None:
        super().__init__(f"{check}: {reason}")
        self.check = check
        self.reason = reason


class FlightLost(Exception):
    """The flight's lease ran out, or somebody else has taken the check since: nothing was written."""


class ExecutorUnavailable(Exception):
    """Nothing can be run just now: no process could be had to run it in."""


class Store(Protocol):
    """Where states live. Every method may raise :class:`StoreUnavailable`; none blocks longer than its timeouts."""

    def now(self) -> float:
        """The store's clock, in seconds since the Unix epoch."""
        ...

    def take(self, check: str, run_id: str, *, lease_seconds: float, overdue_at: float | None = None) -> Flight:
        """Take the check's flight, or raise :class:`FlightRefused`.

        Idempotent per ``run_id``. Refused as ``overdue`` once the store's clock has passed ``overdue_at``.
        """
        ...

    def update(self, flight: Flight, reducer: Reducer) -> tuple[Transition, ...]:
        """Replace the state of ``flight.check`` by ``reducer(state)`` and free the flight: one optimistic transaction.

        State, history and transitions are written together or not at all. Applied once per ``flight.run_id``
        even when a reply is lost. Raises :class:`FlightLost` when the flight is no longer the current one.
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


class Executor(Protocol):
    """Runs a check where it can be ended, whatever it is doing."""

    def start(self) -> None:
        """Get ready, so that the first check does not have to wait. Raises :class:`ExecutorUnavailable`."""
        ...

    def run(self, check: CheckSpec) -> tuple[Outcome, float]:
        """The outcome and the response time in milliseconds. Raises :class:`ExecutorUnavailable` and nothing else.

        A check that is not done after ``check.timeout_seconds`` is ended: status ``error``, reason ``timeout``.
        """
        ...

    def close(self) -> None:
        """End what is idle."""
        ...
