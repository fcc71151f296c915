"""One run of a check, over the store in memory and an executor that does as it is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from monitor.config import CheckSpec
from monitor.lib.safe_names import check_name
from monitor.model.checks import NO_PAST, Outcome, Past, Status
from monitor.policy.schedule import Plan
from monitor.ports.executor import ExecutorUnavailable
from monitor.services import run_check
from monitor.testing import MemoryStore
from tests.support.builders import NOW


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


class ScriptedExecutor:
    """Runs a function instead of a check."""

    def __init__(self, run: Callable[[CheckSpec], Outcome]) -> None:
        self._run = run

    def start(self) -> None: ...

    def startup_seconds(self) -> float | None: ...

    def close(self) -> None: ...

    def run(self, check: CheckSpec, past: Past = NO_PAST) -> tuple[Outcome, float]:
        return self._run(check), 12.3456


CHECK = CheckSpec(name="db", kind="database", interval=10, timeout=5, valid_for=30)
FINE = ScriptedExecutor(lambda check: Outcome(Status.OK, {"n": 1}))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(clock)


def test_a_result_is_dated_by_its_flight_and_says_until_when_it_holds(store: MemoryStore, clock: Clock) -> None:
    """A run that slept for minutes writes the moment it began, not the moment of writing."""

    def sleep(check: CheckSpec) -> Outcome:
        clock.now += 4
        return Outcome(Status.WARNING, {"n": 1}, "above_threshold", "text", {"host": "h"})

    run = run_check.run_check(CHECK, NOW, store=store.states, executor=ScriptedExecutor(sleep))
    stored = store.states.read().states["db"].result
    assert run.event == "completed"
    assert stored == run.result
    assert (stored.observed_at, stored.valid_until, stored.response_time_ms) == (NOW, NOW + 30, 12.346)
    assert (stored.status, stored.reason, stored.message) == (Status.WARNING, "above_threshold", "text")
    assert [t.id for t in run.transitions] == [t.id for _, t in store.states.transitions()]


def test_a_run_whose_turn_has_passed_drops_itself(store: MemoryStore, clock: Clock) -> None:
    """By the store's clock: the next turn has its own message."""
    clock.now = NOW + 10.1
    run = run_check.run_check(CHECK, NOW, store=store.states, executor=FINE)
    assert (run.event, run.reason) == ("dropped", "overdue")
    assert store.states.read().states == {}


def test_one_flight_at_a_time(store: MemoryStore) -> None:
    """A second run while the first is in the air is dropped; after it has landed the next may start."""
    runs: list[run_check.Run] = []

    def again(check: CheckSpec) -> Outcome:
        runs.append(run_check.run_check(CHECK, NOW, store=store.states, executor=FINE))
        return Outcome(Status.OK)

    runs.append(run_check.run_check(CHECK, NOW, store=store.states, executor=ScriptedExecutor(again)))
    runs.append(run_check.run_check(CHECK, NOW, store=store.states, executor=FINE))
    assert [(run.event, run.reason) for run in runs] == [("dropped", "busy"), ("completed", None), ("completed", None)]


def test_a_run_that_outlives_its_lease_writes_nothing(store: MemoryStore, clock: Clock) -> None:
    """Somebody else may be at it by then."""

    def oversleep(check: CheckSpec) -> Outcome:
        clock.now += check.lease_seconds + 0.1
        return Outcome(Status.ERROR)

    run = run_check.run_check(CHECK, NOW, store=store.states, executor=ScriptedExecutor(oversleep))
    assert run.event == "lost"
    assert store.states.read().states == {}


def test_a_run_that_never_happened_frees_the_flight(store: MemoryStore) -> None:
    """No process to run it in is no result; the next attempt need not wait for the lease."""

    def fail(check: CheckSpec) -> Outcome:
        raise ExecutorUnavailable("no process")

    with pytest.raises(ExecutorUnavailable):
        run_check.run_check(CHECK, NOW, store=store.states, executor=ScriptedExecutor(fail))
    assert run_check.run_check(CHECK, NOW, store=store.states, executor=FINE).event == "completed"


def test_a_run_is_handed_its_past(store: MemoryStore, clock: Clock) -> None:
    """The moment its result will be dated by, and what the run before it left."""
    pasts: list[Past] = []

    class Remembering(ScriptedExecutor):
        def run(self, check: CheckSpec, past: Past = NO_PAST) -> tuple[Outcome, float]:
            pasts.append(past)
            return Outcome(Status.OK, memory=f"{len(pasts)}"), 1.0

    for _ in range(3):
        run_check.run_check(CHECK, None, store=store.states, executor=Remembering(lambda check: Outcome(Status.OK)))
        clock.now += 10
    assert pasts == [Past(NOW), Past(NOW + 10, "1"), Past(NOW + 20, "2")]


def test_what_a_run_finds_together_are_checks_of_their_own(store: MemoryStore, clock: Clock) -> None:
    """Each with its state, its transitions and its hysteresis; never critical; forgotten when it is no more."""
    found: dict[str, Outcome | None] = {
        "orders": Outcome(Status.ERROR, {"lag": 9}, "lag"),
        "a b/c": Outcome(Status.OK, {"lag": 0}),
        "new": Outcome(Status.UNKNOWN, reason="starting", grace=True),
    }
    executor = ScriptedExecutor(lambda check: Outcome(Status.WARNING, children=dict(found)))
    run = run_check.run_check(CHECK, NOW, store=store.states, executor=executor)
    states = store.states.read().states
    assert {name: state.status.value for name, state in states.items()} == {
        "db": "warning",
        "group:db:orders": "error",
        check_name("group", "db:a b/c"): "ok",
        "group:db:new": "unknown",
    }
    assert len(run.transitions) == 3
    assert states["group:db:orders"].result.run_id == states["db"].result.run_id
    assert states["group:db:orders"].result.valid_until == NOW + 30
    clock.now += 10
    found["orders"] = None
    run_check.run_check(CHECK, None, store=store.states, executor=executor)
    assert "group:db:orders" not in store.states.read().states


def test_each_moment_is_dispatched_once(store: MemoryStore, clock: Clock) -> None:
    """Everything at first; then nothing until time has passed; None when asked again too soon."""
    plan = Plan([CHECK])
    assert run_check.due_now(plan, "f", store=store.states) == [("db", NOW)]
    clock.now += 0.01
    assert run_check.due_now(plan, "f", store=store.states, at_least_seconds=0.1) is None
    clock.now += 20
    assert [due.check for due in run_check.due_now(plan, "f", store=store.states) or ()] == ["db"]
    assert run_check.due_now(plan, "f", store=store.states) == []
