"""Protocols of the store: states, history, alerts, workers, and the project that owns the store."""

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
    """Error: the store did not answer in time, or returned an error. The text contains no credentials.

    ``reason`` is the code of the returned error; None when the store did not answer.
    """

    def __init__(self, text: str = "", reason: str | None = None) -> None:
        super().__init__(text)
        self.reason = reason


class FlightRefused(Exception):
    """Error: the flight cannot be taken.

    ``reason`` is ``busy`` (another run holds the flight) or ``overdue`` (the run should have started long before).
    """

    def __init__(self, check: str, reason: str) -> None:
        super().__init__(f"{check}: {reason}")
        self.check = check
        self.reason = reason


class FlightLost(Exception):
    """Error: the lease of the flight has ended, or another run holds the flight. The update was not written."""


class StateStore(Protocol):
    """Store of the checks' states, of flights, and of dispatch windows.

    Every method may raise :class:`StoreUnavailable`, and ends within the timeouts of the store.
    """

    def now(self) -> float:
        """Return the time of the store's clock, in seconds since the Unix epoch."""
        ...

    def take(self, check: str, run_id: str, *, lease_seconds: float, overdue_at: float | None = None) -> Flight:
        """Take the check's flight. It contains the memory of the check's last run.

        A repeated call with the same ``run_id`` returns the same flight. Raise :class:`FlightRefused` with ``busy``
        while another run holds the flight, and with ``overdue`` when the store's time is after ``overdue_at``.
        """
        ...

    def update(self, flight: Flight, reducer: Reducer, *, memory: str | None = None) -> tuple[Transition, ...]:
        """Replace the state of ``flight.check`` by ``reducer(state)``, release the flight, and return the transitions.

        The state, its sample, the transitions and ``memory`` (unless None) are written together or not at all. If
        another process has changed the state meanwhile, ``reducer`` is called again with the new state. A repeated call
        with the same ``flight.run_id`` changes nothing and returns the same transitions. Raise :class:`FlightLost` when
        the flight is no longer the current one.
        """
        ...

    def update_many(
        self, flight: Flight, reducers: Mapping[str, Reducer], *, sampled_checks: Container[str] = ()
    ) -> dict[str, tuple[Transition, ...]]:
        """Replace the states of several checks that one flight observed. Return the transitions of each check.

        Each check is written as in :meth:`update`. ``flight.check`` must not be among ``reducers``. The flight is not
        released: further calls may follow, and :meth:`release` ends it. Only the checks in ``sampled_checks`` get a
        sample.
        """
        ...

    def release(self, flight: Flight) -> None:
        """Release a flight without a result. Do nothing when another run holds the flight."""
        ...

    def claim_window(self, roster_fingerprint: str, *, at_least_seconds: float = 0.0) -> Window | None:
        """Claim the window from the last claim until now. The caller dispatches the checks that became due in it.

        Windows of two claims never overlap, so each run is dispatched once. Return None when the last claim was made
        less than ``at_least_seconds`` ago.
        """
        ...

    def dispatched_at(self) -> float | None:
        """Return the end of the last claimed window; None when no window was claimed."""
        ...

    def read(self, checks: Iterable[str] | None = None) -> Snapshot:
        """Return the states of ``checks``; of all checks when None. States that cannot be decoded are left out."""
        ...

    def changes(self, cursor: str | None) -> Changes:
        """Return the states written after ``cursor``; all states when the cursor is None or no longer valid."""
        ...

    def transitions(self, *, after: str | None = None, limit: int = 100) -> list[tuple[str, Transition]]:
        """Return up to ``limit`` transitions after the cursor ``after``, oldest first, as (cursor, transition)."""
        ...

    def forget(self, checks: Iterable[str]) -> None:
        """Delete the states, memories and history of ``checks``, but not their transitions."""
        ...


Send = Callable[[Notice], DeliveryFailure | None]
"""Sends a notice within the timeout of its channel. Returns None when it was delivered."""


class Ownership(Protocol):
    """Record of the project that owns the store. Every method may raise :class:`StoreUnavailable`."""

    def read(self) -> Identity | None:
        """Return the project that owns the store; None when the store has no owner."""
        ...

    def claim(self, project: Identity) -> Identity | None:
        """Make ``project`` the owner if the store has no owner, or renew its record. Return the owner."""
        ...

    def take_over(self, project: Identity) -> Identity | None:
        """Make ``project`` the owner. Return the previous owner."""
        ...

    def read_facts(self) -> str | None:
        """Return the text that `store_facts` stored; None when there is none or it is too large."""
        ...

    def store_facts(self, text: str, seconds: float) -> None:
        """Store a text with facts about the project, which expires after ``seconds``."""
        ...


class RunningRoles(Protocol):
    """Records of the running roles. The record of a role expires soon after the role was killed.

    Every method may raise :class:`StoreUnavailable`.
    """

    def announce(self, role: str, host: str, pid: int) -> None:
        """Record that a role runs: ``worker``, ``beat`` or ``web``."""
        ...

    def leave(self, role: str, host: str, pid: int) -> None:
        """Delete the record of a role that ends."""
        ...

    def running(self) -> list[tuple[str, str, int]]:
        """Return the running roles: role, host and process id."""
        ...


class Store(Protocol):
    """The complete store. Each property is one of its stores. The methods concern all of these stores."""

    @property
    def states(self) -> StateStore:
        """Return the store of the checks' states."""
        ...

    @property
    def history(self) -> History:
        """Return the history of past results."""
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
        """Return the record of the project that owns the store."""
        ...

    @property
    def roles(self) -> RunningRoles:
        """Return the records of the running roles."""
        ...

    def rejected_counts(self) -> Mapping[str, int]:
        """Return the number of rejected values so far, by kind. A rejected value cannot be decoded or is too large.

        Delete values that are too large or too many. Raise :class:`StoreUnavailable`.
        """
        ...

    def refusal(self) -> str | None:
        """Return the reason code if the store refuses writes, else None. Raise :class:`StoreUnavailable`."""
        ...

    def close(self) -> None:
        """Close the idle connections. The next call opens one again."""
        ...
