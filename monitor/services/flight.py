"""Flights: a flight is the right of one process, over all replicas, to do a piece of work and to store its outcomes."""

from __future__ import annotations

import uuid
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from monitor import policy
from monitor.config import CheckSpec
from monitor.model.checks import Flight, Outcome, Transition
from monitor.ports.store import FlightLost, FlightRefused, Reducer, StateStore, StoreUnavailable


class NotCompleted(Exception):
    """Error: the work was not done, or its outcomes were not stored.

    ``event`` is ``dropped`` (``reason`` is ``busy`` or ``overdue``) or ``lost`` (``reason`` is ``lease_expired``).
    """

    def __init__(self, event: str, reason: str) -> None:
        super().__init__(f"{event}: {reason}")
        self.event = event
        self.reason = reason


@contextmanager
def in_flight(
    store: StateStore, name: str, *, lease_seconds: float, overdue_at: float | None = None, keep: bool = False
) -> Iterator[Flight]:
    """Take a flight for the work in the ``with`` block, and release the flight afterwards.

    With ``keep``, the flight is not released after the work: the work releases it itself (see
    :meth:`monitor.ports.store.StateStore.update`), or it lasts until its lease ends. Only if the work fails while the
    store answers, the flight is released here. Raises StoreUnavailable, and NotCompleted when the flight cannot be
    taken or is lost.
    """
    try:
        flight = store.take(name, uuid.uuid4().hex, lease_seconds=lease_seconds, overdue_at=overdue_at)
    except FlightRefused as refusal:
        raise NotCompleted("dropped", refusal.reason) from None
    must_release = not keep
    try:
        yield flight
    except FlightLost:
        raise NotCompleted("lost", "lease_expired") from None
    except StoreUnavailable:
        raise
    except BaseException:
        must_release = True
        raise
    finally:
        if must_release:
            store.release(flight)


def store_outcomes(
    store: StateStore,
    flight: Flight,
    outcomes: Iterable[tuple[CheckSpec, Outcome]],
    *,
    response_time_ms: float = 0.0,
    history: Container[str] = (),
    reducers: Mapping[str, Reducer] | None = None,
) -> tuple[Transition, ...]:
    """Store the outcomes of several checks under one flight, and return the transitions.

    ``reducers`` are changes of other checks' states, which are stored first. A history sample is stored for the checks
    in ``history``. Raises FlightLost and StoreUnavailable.
    """
    all_reducers = dict(reducers or {})
    for check, outcome in outcomes:
        result = policy.as_result(check, flight, outcome, response_time_ms)
        all_reducers[check.name] = partial(policy.advance, result=result, check=check)
    by_check = store.update_many(flight, all_reducers, sampled_checks=history)
    return tuple(transition for transitions in by_check.values() for transition in transitions)
