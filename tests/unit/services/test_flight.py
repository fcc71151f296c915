"""The envelope around work that one process does at a time: how the flight ends, and what is stored under it."""

from __future__ import annotations

import pytest

from monitor.model.checks import Outcome, Status
from monitor.ports.store import FlightRefused, StateStore, StoreUnavailable
from monitor.services.flight import NotCompleted, in_flight, store_outcomes
from monitor.testing import MemoryStore
from tests.support.builders.values import check

START = 1_700_000_000.0


class Clock:
    now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(clock: Clock) -> MemoryStore:
    return MemoryStore(clock)


@pytest.fixture
def store(memory: MemoryStore) -> StateStore:
    return memory.states


def is_free(store: StateStore) -> bool:
    """Whether another process can take the flight."""
    try:
        store.take("work", "another", lease_seconds=1)
    except FlightRefused:
        return False
    return True


ENDS = {
    "done: released": (False, None, True),
    "failed: released": (False, ValueError(), True),
    "the store is away: released": (False, StoreUnavailable(), True),
    "ended from outside: released": (False, SystemExit(), True),
    "kept and done: the lease goes on": (True, None, False),
    "kept and failed: released": (True, ValueError(), True),
    "kept and ended from outside: released": (True, SystemExit(), True),
    "kept, and the store is away: not asked again": (True, StoreUnavailable(), False),
}


@pytest.mark.parametrize(("keep", "error", "free"), ENDS.values(), ids=ENDS)
def test_how_a_flight_ends(store: StateStore, keep: bool, error: BaseException | None, free: bool) -> None:
    """It is released; one that is kept only when the work has failed by itself. Errors are raised as they are."""
    try:
        with in_flight(store, "work", lease_seconds=5, keep=keep):
            if error is not None:
                raise error
    except (ValueError, StoreUnavailable, SystemExit) as raised:
        assert raised is error
    assert is_free(store) is free


def test_a_flight_that_is_refused(store: StateStore) -> None:
    """The block does not run, and the other one keeps the flight."""
    with in_flight(store, "work", lease_seconds=5):
        with pytest.raises(NotCompleted) as refused, in_flight(store, "work", lease_seconds=5):
            pytest.fail("it ran")
        assert (refused.value.event, refused.value.reason) == ("dropped", "busy")
        assert not is_free(store)
    with pytest.raises(NotCompleted) as refused, in_flight(store, "work", lease_seconds=5, overdue_at=START - 1):
        pytest.fail("it ran")
    assert (refused.value.event, refused.value.reason) == ("dropped", "overdue")


def test_a_flight_that_is_lost(store: StateStore, clock: Clock) -> None:
    """Nothing is stored after its lease, and another's flight is not released."""
    with pytest.raises(NotCompleted) as lost, in_flight(store, "work", lease_seconds=5) as flight:
        clock.now += 6
        store.take("work", "of another", lease_seconds=60)
        store_outcomes(store, flight, [(check("db"), Outcome(Status.OK))])
    assert (lost.value.event, lost.value.reason) == ("lost", "lease_expired")
    assert store.read().states == {}
    assert not is_free(store)


def test_what_a_flight_has_observed_is_stored_together(memory: MemoryStore, clock: Clock) -> None:
    """Each check by its own rules, dated by the flight; only those that are named leave a sample in history."""
    outcomes = [(check("db"), Outcome(Status.ERROR, reason="refused")), (check("web"), Outcome(Status.OK))]
    with in_flight(memory.states, "work", lease_seconds=5) as flight:
        transitions = store_outcomes(memory.states, flight, outcomes, history={"web"})
    assert [(made.check, made.new, made.run_id) for made in transitions] == [
        ("db", Status.ERROR, flight.run_id),
        ("web", Status.OK, flight.run_id),
    ]
    assert {state.result.observed_at for state in memory.states.read().states.values()} == {START}
    clock.now += 1
    assert [len(memory.history.samples(name, START - 1)) for name in ("db", "web")] == [0, 1]
