"""What every store promises, over the one in memory, Redis and Valkey."""

from __future__ import annotations

import time
from itertools import pairwise
from threading import Thread

import pytest

from monitor.model.checks import State, Status, Transition, Window
from monitor.ports.store import FlightLost, FlightRefused, Store
from monitor.store.redis.store import RedisStore
from tests.support.builders.values import becoming, check, result, run, state_of
from tests.support.processes import wait_for


def test_stores_what_the_reducer_made(store: Store) -> None:
    """A state comes back exactly as it was written, with everything that can be in it."""
    flight = store.states.take("db", "run-1", lease_seconds=5)
    found = result(
        flight,
        "error",
        reason="refused",
        message="host é\U0001f600",
        data={"n": 1, "x": [1.5, None]},
        detail={"a": {}},
        late_ms=12.5,
        series=("n",),
    )
    state = State("db", Status.WARNING, 12.25, 7, found, retry_at=flight.taken_at + 2, stale_since=flight.taken_at + 1)
    store.states.update(flight, lambda before: (state, ()))
    assert state_of(store, "db") == state


def test_reducer_sees_the_state_before(store: Store) -> None:
    """First nothing, then what was stored."""
    run(store, "db")
    before = state_of(store, "db")
    flight, seen = store.states.take("db", "run-2", lease_seconds=5), []
    store.states.update(flight, lambda state: (seen.append(state), becoming(flight)(state))[1])
    assert before is not None
    assert seen == [before]


def test_odd_data_does_not_stop_the_store(store: Store) -> None:
    """What JSON cannot say is said as near to it as it can."""
    flight = store.states.take("db", "run-1", lease_seconds=5)
    odd = {"nan": float("nan"), "big": float("inf"), "set": {1}, ("a", 1): 2, "type": Status}
    store.states.update(flight, becoming(flight, data=odd))
    state = state_of(store, "db")
    assert state is not None
    assert state.result.data["nan"] is None
    assert state.result.data["set"] == [1]


def test_too_much_data_is_left_out(store: Store) -> None:
    """A check that reports megabytes keeps its status and loses its data, not the other way round."""
    flight = store.states.take("db", "run-1", lease_seconds=5)
    store.states.update(
        flight, becoming(flight, "error", data={"x": "y" * 10**6}, message="m" * 10**6, reason="r" * 10**6)
    )
    state = state_of(store, "db")
    assert state is not None
    assert (state.status, state.result.data, state.result.reason) == (Status.ERROR, {}, "r" * 100)


def test_one_flight_at_a_time(store: Store) -> None:
    """A second taker is refused as busy; the first may ask again; another check is another matter."""
    flight = store.states.take("db", "run-1", lease_seconds=5)
    with pytest.raises(FlightRefused) as refused:
        store.states.take("db", "run-2", lease_seconds=5)
    assert refused.value.reason == "busy"
    assert store.states.take("db", "run-1", lease_seconds=5) == flight
    assert store.states.take("web", "run-3", lease_seconds=5).token > flight.token


def test_overdue_flights_are_refused_by_the_stores_clock(store: Store) -> None:
    """`overdue_at` is judged by the store; a moment in its future is no hindrance."""
    with pytest.raises(FlightRefused) as refused:
        store.states.take("db", "run-1", lease_seconds=5, overdue_at=store.states.now() - 0.001)
    assert refused.value.reason == "overdue"
    assert store.states.take("db", "run-1", lease_seconds=5, overdue_at=store.states.now() + 5)


def test_when_it_was_dispatched_last(store: Store) -> None:
    """Nothing before the first window; then the end of the last one."""
    assert store.states.dispatched_at() is None
    window = store.states.claim_window("v1")
    assert window is not None
    assert store.states.dispatched_at() == pytest.approx(window.until, abs=1e-5)


def test_taken_at_is_the_stores_clock(store: Store) -> None:
    """A flight carries the moment it was taken."""
    before = store.states.now()
    assert before <= store.states.take("db", "run-1", lease_seconds=5).taken_at <= store.states.now()


def test_a_released_flight_is_free(store: Store) -> None:
    """Only the holder frees it, and only once."""
    first = store.states.take("db", "run-1", lease_seconds=5)
    store.states.release(first)
    second = store.states.take("db", "run-2", lease_seconds=5)
    store.states.release(first)
    with pytest.raises(FlightRefused):
        store.states.take("db", "run-3", lease_seconds=5)
    store.states.release(second)


def test_a_lease_runs_out(store: Store) -> None:
    """After its lease the flight is somebody else's, and the late run writes nothing."""
    late = store.states.take("db", "run-1", lease_seconds=0.05)
    flight = wait_for(lambda: _try_take(store, "run-2"), what="the lease has run out")
    with pytest.raises(FlightLost):
        store.states.update(late, becoming(late, "error"))
    assert state_of(store, "db") is None
    assert store.states.transitions() == []
    store.states.update(flight, becoming(flight, "ok"))
    assert state_of(store, "db").status is Status.OK  # type: ignore[union-attr]


def test_a_lease_that_ran_out_untaken_is_lost_too(store: Store) -> None:
    """Nobody has taken it since, and still it is not ours."""
    late = store.states.take("db", "run-1", lease_seconds=0.02)
    time.sleep(0.05)  # the lease is the condition
    with pytest.raises(FlightLost):
        store.states.update(late, becoming(late))
    assert store.states.read().states == {}


def test_update_frees_the_flight(store: Store) -> None:
    """The next run can start at once."""
    run(store, "db")
    assert store.states.take("db", "run-2", lease_seconds=5)


def test_applied_once(store: Store) -> None:
    """A run that asks again, having lost the answer, gets the same answer and changes nothing."""
    flight = store.states.take("db", "run-1", lease_seconds=5)
    first = store.states.update(flight, becoming(flight, "error"))
    state = state_of(store, "db")
    assert len(first) == 1
    assert store.states.update(flight, becoming(flight, "error")) == first
    again = store.states.take("db", "run-1", lease_seconds=5)  # a task that was delivered twice
    assert store.states.update(again, becoming(again, "ok")) == first
    assert state_of(store, "db") == state
    assert [t for _, t in store.states.transitions()] == list(first)
    assert store.states.take("db", "run-2", lease_seconds=5)


def test_a_reducer_that_raises_writes_nothing(store: Store) -> None:
    """The flight stays ours, so that the run can be stored by a better reducer."""
    flight = store.states.take("db", "run-1", lease_seconds=5)
    with pytest.raises(ZeroDivisionError):
        store.states.update(flight, lambda state: 1 / 0)  # type: ignore[arg-type, return-value]
    assert store.states.read().states == {}
    assert store.states.update(flight, becoming(flight))


def test_transitions_in_order(store: Store) -> None:
    """Each change once, oldest first, with ids that count; read on from any cursor."""
    made: list[Transition] = []
    for status in ("ok", "ok", "error", "warning", "warning", "ok"):
        made += run(store, "db", status)
    assert [(t.old.value, t.new.value) for t in made] == [
        ("unknown", "ok"),
        ("ok", "error"),
        ("error", "warning"),
        ("warning", "ok"),
    ]
    assert all(before.sequence < after.sequence for before, after in pairwise(made))
    pages = store.states.transitions()
    assert [t for _, t in pages] == made
    assert store.states.transitions(limit=2) == pages[:2]
    assert store.states.transitions(after=pages[1][0], limit=2) == pages[2:]
    assert store.states.transitions(after=pages[-1][0]) == []
    assert store.states.transitions(after="no cursor") == pages


def test_transitions_after_a_moment(redis_store: RedisStore) -> None:
    """A cursor in Redis begins with its time: the time by itself is one as well, and not a new beginning."""
    run(redis_store, "db", "error")
    ((cursor, _),) = redis_store.states.transitions()
    at = int(cursor.partition("-")[0])
    assert redis_store.states.transitions(after=str(at + 1)) == []
    assert len(redis_store.states.transitions(after=str(at - 1))) == 1


def test_read_some(store: Store) -> None:
    """The checks asked for, without those that have no state."""
    run(store, "db")
    run(store, "web")
    assert set(store.states.read(["web", "nobody"]).states) == {"web"}
    assert set(store.states.read().states) == {"db", "web"}
    assert store.states.read([]).states == {}
    assert abs(store.states.read().read_at - store.states.now()) < 1


def test_changes_tell_what_is_new(store: Store) -> None:
    """First everything; then what was written since, each check once with its latest state."""
    run(store, "db")
    run(store, "web")
    first = store.states.changes(None)
    assert first.full
    assert set(first.states) == {"db", "web"}
    nothing = store.states.changes(first.cursor)
    assert (nothing.full, nothing.states) == (False, {})
    run(store, "web", "warning")
    run(store, "web", "error")
    then = store.states.changes(nothing.cursor)
    assert not then.full
    assert {name: state.status for name, state in then.states.items()} == {"web": Status.ERROR}


@pytest.mark.parametrize("cursor", ["", "x", "0:0", "1:2:3", "-1:-1", "99999999999999999999:1", "²:¹"])
def test_a_cursor_that_means_nothing(store: Store, cursor: str) -> None:
    """Everything is told, as on the first read."""
    run(store, "db")
    changes = store.states.changes(cursor)
    assert changes.full
    assert set(changes.states) == {"db"}


def test_changes_of_an_empty_store(store: Store) -> None:
    """Nothing is known, which replaces whatever the reader knew; what is written next is told."""
    empty = store.states.changes(None)
    assert (empty.full, empty.states) == (True, {})
    run(store, "db")
    assert set(store.states.changes(empty.cursor).states) == {"db"}


def test_forget(store: Store) -> None:
    """A forgotten check is gone for every reader, and unseen by the next roster."""
    run(store, "db")
    run(store, "web")
    run(store, "web", "error", failure_threshold=2, retry_interval=0.001)
    cursor = store.states.changes(None).cursor
    store.states.forget(["web", "nobody"])  # type: ignore[attr-defined]
    assert set(store.states.read().states) == {"db"}
    told = store.states.changes(cursor)
    assert told.full
    assert set(told.states) == {"db"}
    due = store.states.now() + 0.01
    wait_for(lambda: store.states.now() > due)
    window = _claim(store)
    assert window.observed == {"db"}
    assert window.retries == ()


def test_a_run_is_handed_what_the_last_one_left(store: Store) -> None:
    """The memory comes with the flight, survives a run that leaves none, and goes when the check is forgotten."""
    memories: list[str | None] = []
    for number, left in enumerate(("first", None, "a \N{SNOWMAN} " * 100_000, "")):
        flight = store.states.take("db", f"run-{number}", lease_seconds=5)
        memories.append(flight.memory)
        assert store.states.take("db", f"run-{number}", lease_seconds=5).memory == flight.memory
        store.states.update(flight, becoming(flight), memory=left)
    last = store.states.take("db", "run-last", lease_seconds=5)
    assert [*memories, last.memory] == [None, "first", "first", "a \N{SNOWMAN} " * 100_000, ""]
    assert store.states.take("web", "run", lease_seconds=5).memory is None
    store.states.release(last)
    store.states.forget(["db"])
    assert store.states.take("db", "run-after", lease_seconds=5).memory is None


def test_a_memory_is_written_with_the_state_or_not_at_all(store: Store) -> None:
    """A run whose flight was lost leaves nothing; one that asks again does not overwrite what came after."""
    lost = store.states.take("db", "run-1", lease_seconds=5)
    store.states.release(lost)
    with pytest.raises(FlightLost):
        store.states.update(lost, becoming(lost), memory="lost")
    flight = store.states.take("db", "run-2", lease_seconds=5)
    assert flight.memory is None
    store.states.update(flight, becoming(flight), memory="kept")
    store.states.update(flight, becoming(flight), memory="again")
    assert store.states.take("db", "run-3", lease_seconds=5).memory == "kept"


def test_windows_join(store: Store) -> None:
    """Each window begins where the last one ended; the first has no beginning."""
    first, second = store.states.claim_window("a"), store.states.claim_window("a")
    assert first is not None
    assert second is not None
    assert first.since is None
    assert first.until == pytest.approx(store.states.now(), abs=1)
    assert second.since == pytest.approx(first.until, abs=1e-6)
    assert second.until > first.until


def test_a_young_claim_stands(store: Store) -> None:
    """Two dispatchers: the second gets nothing until the first's claim is old enough."""
    assert store.states.claim_window("a", at_least_seconds=60)
    assert store.states.claim_window("a", at_least_seconds=60) is None
    assert wait_for(lambda: store.states.claim_window("a", at_least_seconds=0.05), what="the claim is old enough")


def test_a_new_roster_asks_who_was_seen(store: Store) -> None:
    """The names with a state come with the first window, and with the first of another fingerprint."""
    run(store, "db")
    observed = [_claim(store, fingerprint).observed for fingerprint in ("a", "a", "b", "b")]
    assert observed == [{"db"}, None, {"db"}, None]


def test_retries_come_when_due(store: Store) -> None:
    """A failure that is being confirmed is looked at again at its time, once; a better result calls it off."""
    run(store, "db", "ok")
    run(store, "web", "ok")
    _claim(store)
    run(store, "db", "error", failure_threshold=3, retry_interval=60)
    run(store, "web", "error", failure_threshold=3, retry_interval=0.001)
    state = state_of(store, "web")
    assert state is not None
    assert state.retry_at is not None
    window = wait_for(lambda: (found := _claim(store)).retries and found, what="the retry of web")
    assert window.retries == ("web",)
    assert window.until >= state.retry_at
    run(store, "db", "error", failure_threshold=3, retry_interval=0.001)
    run(store, "db", "ok", failure_threshold=3)
    due = store.states.now() + 0.01
    wait_for(lambda: store.states.now() > due)
    assert _claim(store).retries == ()


def test_threads_share_a_store(store: Store) -> None:
    """Eight threads on four checks, and no update is lost: the sequence counts every one of them."""
    names, turns = ["a", "b", "c", "d"], 25

    def work() -> None:
        for turn in range(turns):
            for name in names:
                wait_for(lambda name=name, turn=turn: _count_one(store, name, f"{id(object())}-{turn}"))  # type: ignore[misc]

    threads = [Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: state.sequence for name, state in store.states.read().states.items()} == dict.fromkeys(
        names, 8 * turns
    )


def test_hysteresis_survives_storage(store: Store) -> None:
    """A streak is stored: the third failure of three makes the transition."""
    run(store, "db", "ok")
    made = [run(store, "db", "error", failure_threshold=3) for _ in range(3)]
    assert [len(m) for m in made] == [0, 0, 1]


def _count_one(store: Store, name: str, run_id: str) -> bool:
    try:
        flight = store.states.take(name, f"{time.monotonic_ns()}-{run_id}", lease_seconds=30)
    except FlightRefused:
        return False
    found = result(flight)
    store.states.update(flight, lambda s: (State(name, Status.OK, 0.0, (s.sequence if s else 0) + 1, found), ()))
    return True


def _try_take(store: Store, run_id: str) -> object:
    try:
        return store.states.take("db", run_id, lease_seconds=5)
    except FlightRefused:
        return None


def _claim(store: Store, fingerprint: str = "a") -> Window:
    window = store.states.claim_window(fingerprint)
    assert window is not None
    return window


def test_one_flight_observes_many(store: Store) -> None:
    """Each check has its own state and transitions; the flight is kept until it is released."""
    flight = store.states.take("workers", "round-1", lease_seconds=5)
    names = [f"worker:w{number}" for number in range(250)]
    made = store.states.update_many(flight, {name: becoming(flight, spec=check(name)) for name in names})
    assert {name: [transition.id for transition in found] for name, found in made.items()} == {
        name: [f"{name}:{int(flight.taken_at * 1000)}:round-1"] for name in names
    }
    store.states.update_many(flight, {"queue:q": becoming(flight, "error", check("queue:q"))})
    assert state_of(store, "queue:q").status is Status.ERROR
    with pytest.raises(FlightRefused):
        store.states.take("workers", "round-2", lease_seconds=5)
    store.states.release(flight)
    again = store.states.take("workers", "round-2", lease_seconds=5)
    worse = store.states.update_many(again, {names[0]: becoming(again, "error", check(names[0]))})
    assert [(found.old, found.new) for found in worse[names[0]]] == [(Status.OK, Status.ERROR)]
    assert len(store.states.read().states) == len(names) + 1


def test_many_are_applied_once(store: Store) -> None:
    """Asked again with the same flight, the answer is that of the first time, and nothing is written."""
    flight = store.states.take("workers", "round-1", lease_seconds=5)
    reducers = {name: becoming(flight, "error", check(name)) for name in ("worker:a", "worker:b")}
    first = store.states.update_many(flight, {"worker:a": reducers["worker:a"]})
    both = store.states.update_many(flight, reducers)
    assert both["worker:a"] == first["worker:a"]
    store.states.release(flight)
    assert store.states.update_many(flight, reducers) == both
    assert len(store.states.transitions()) == 2


def test_many_need_the_flight(store: Store) -> None:
    """A round whose flight somebody else has taken since writes nothing."""
    flight = store.states.take("workers", "round-1", lease_seconds=5)
    store.states.release(flight)
    store.states.take("workers", "round-2", lease_seconds=5)
    with pytest.raises(FlightLost):
        store.states.update_many(flight, {"worker:a": becoming(flight, spec=check("worker:a"))})
    assert state_of(store, "worker:a") is None
