"""History over every store there is: in memory, in Redis, in Valkey."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.history import uptime
from monitor.history.samples import BUCKET_SECONDS, DAY_SECONDS, HOUR_SECONDS, Sample
from monitor.model.checks import Flight, Result, State, Status
from monitor.store.memory.history import MemoryHistory
from monitor.store.memory.store import MemoryStore
from monitor.store.redis.history import RedisHistory
from monitor.store.redis.store import RedisStore
from monitor.store.retention import Retention
from tests.support import brute
from tests.support.builders.samples import MIDNIGHT, samples
from tests.support.builders.values import add, run
from tests.support.redis_server import BINARIES

FOREVER = Retention(raw_seconds=3660 * DAY_SECONDS, rollup_seconds=3660 * DAY_SECONDS)
"""So that samples of a fixed past are kept."""


@dataclass
class Past:
    """A store whose samples are written with their states, whenever they say that they are of."""

    store: MemoryStore | RedisStore

    @property
    def history(self) -> MemoryHistory | RedisHistory:
        """What became of them."""
        return self.store.history

    def write(self, check: str, *some: Sample) -> None:
        """Each by a flight of its own, as a run would."""
        for sample in some:
            flight = self.store.states.take(check, uuid.uuid4().hex, lease_seconds=5)
            state = state_of(check, flight, sample)
            self.store.states.update(flight, lambda _, state=state: (state, ()))


def state_of(check: str, flight: Flight, sample: Sample) -> State:
    """The state of which the sample is."""
    data = {name: value for name, value in sample.series.items() if name != "response_time_ms"}
    result = Result(
        flight.run_id,
        sample.status,
        sample.at,
        sample.valid_until,
        sample.series.get("response_time_ms", 0.0),
        data,
        sample.reason,
        series=tuple(data),
    )
    return State(check, sample.status, sample.at, 1, result)


def timed(sample: Sample) -> Sample:
    """With a response time, which every check has."""
    return Sample(
        sample.at, sample.status, sample.valid_until, sample.reason, {"response_time_ms": 0.0, **sample.series}
    )


@pytest.fixture(params=["memory", *BINARIES])
def new_past(request: pytest.FixtureRequest, shared_redis: Callable[..., object]) -> Iterator[Callable[..., Past]]:
    """Makes histories that know nothing, on every store."""
    stores: list[MemoryStore | RedisStore] = []

    def made(retention: Retention = FOREVER) -> Past:
        if request.param == "memory":
            store: MemoryStore | RedisStore = MemoryStore()
        else:
            url = shared_redis(request.param).url
            store = RedisStore(url, prefix=f"{uuid.uuid4().hex}:", retention=retention)
        stores.append(store)
        return Past(store)

    yield made
    for store in stores:
        if isinstance(store, RedisStore):
            for key in store._connection.call("KEYS", f"{store.states._prefix}*"):
                store._connection.call("DEL", key)
        store.close()


@pytest.fixture
def past(new_past: Callable[..., Past]) -> Past:
    """A history that knows nothing."""
    return new_past()


def test_series_that_are_asked_for(past: Past) -> None:
    """Of packed samples and of waiting ones: all else is as it is, and a series that there is not is no error."""
    some = [
        Sample(
            MIDNIGHT + 10.0 * place,
            Status.OK,
            MIDNIGHT + 10.0 * place + 30,
            "slow",
            {"a": place + 0.5, "b": 1.0 * place},
        )
        for place in range(80)
    ]
    past.write("db", *map(timed, some[:60]))
    past.history.compact(MIDNIGHT + HOUR_SECONDS)
    past.write("db", *map(timed, some[60:]))
    every = past.history.samples("db", MIDNIGHT, MIDNIGHT + DAY_SECONDS)
    assert set(every.series) == {"a", "b", "response_time_ms"}
    for names in (["a"], ["b", "response_time_ms"], ["c"], []):
        found = past.history.samples("db", MIDNIGHT, MIDNIGHT + DAY_SECONDS, names)
        assert set(found.series) == set(names) - {"c"}
        assert [(each.at, each.status, each.valid_until, each.reason) for each in found] == [
            (each.at, each.status, each.valid_until, each.reason) for each in every
        ]
        assert all(found.series[name] == every.series[name] for name in found.series)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=samples(50), compactions=st.sets(st.integers(0, 50), max_size=4), since=st.integers(0, 600))
def test_the_past_is_what_was_written(
    new_past: Callable[..., Past], written: list[Sample], compactions: set[int], since: int
) -> None:
    """Whenever it was packed in between: samples to the last digit, uptime to the microsecond."""
    past, written = new_past(), [timed(sample) for sample in written]
    now = max((sample.at for sample in written), default=MIDNIGHT) + 7000.5
    for place, sample in enumerate(written):
        past.write("db", sample)
        if place in compactions:
            past.history.compact(now if place % 2 else sample.at)
    for _ in range(3):  # as it was left, packed, and packed once more
        begin = MIDNIGHT + since * BUCKET_SECONDS
        until = begin + 3 * DAY_SECONDS
        found = past.history.samples("db", begin, until)
        spans = [span for span in brute.spans(written) if span.end > begin * brute.M and span.begin < until * brute.M]
        assert [sample.at for sample in found] == [span.sample.at for span in spans]
        for sample, span in zip(found, spans, strict=True):
            assert (sample.status, sample.reason, sample.series) == (
                span.sample.status,
                span.sample.reason,
                span.sample.series,
            )
        figures = uptime.uptime(past.history.rollups(["db"], begin, until)["db"])
        assert figures.seconds == brute.seconds(written, begin, until)
        assert figures.incidents == brute.incidents(written, begin, until)
        past.history.compact(now)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    written=samples(50),
    late=st.integers(0, 50),
    back=st.lists(st.integers(1, 4 * 86_400), min_size=1, max_size=3),
    after=st.sampled_from([0.000002, 0.5, 333.3, 7000.5, 90_000.25]),
    day_count=st.integers(0, 4),
)
def test_uptimes(
    new_past: Callable[..., Past], written: list[Sample], late: int, back: list[int], after: float, day_count: int
) -> None:
    """Windows up to now and whole days, whatever of it is packed and what still waits."""
    past, written = new_past(), [timed(sample) for sample in written]
    now = round(max((sample.at for sample in written), default=MIDNIGHT) + after, 6)
    add(past.history, "db", written[:late])
    past.history.compact(MIDNIGHT + 90 * DAY_SECONDS)
    add(past.history, "db", written[late:])
    set_clock(past.history, now)
    for _ in range(2):
        found = past.history.uptimes(["db", "new"], {str(span): float(span) for span in back}, day_count)
        assert found["new"].windows[str(back[0])].unobserved == pytest.approx(back[0], abs=300)
        for span in back:
            window = found["db"].windows[str(span)]
            since = (now - span) // BUCKET_SECONDS * BUCKET_SECONDS
            assert (window.since, window.until) == (since, now)
            assert window.seconds == brute.seconds(written, since, now)
            assert window.incidents == brute.incidents(written, since, now)
        days = found["db"].days
        assert [date for date, _ in days] == [
            uptime.date_of(now - (day_count - 1 - number) * DAY_SECONDS) for number in range(day_count)
        ]
        for _, day in days:
            assert day.seconds == brute.seconds(written, day.since, day.until)
            assert day.incidents == brute.incidents(written, day.since, day.until)
        past.history.compact(MIDNIGHT + 90 * DAY_SECONDS)


def set_clock(history: MemoryHistory | RedisHistory, now: float) -> None:
    """Some moment is now."""
    if isinstance(history, MemoryHistory):
        history._clock = lambda: now
    else:
        history._connection.now = lambda: now  # type: ignore[method-assign]


def test_samples_come_with_the_state(past: Past) -> None:
    """The judged status, the reason, the response time and the series; nothing else of the data."""
    at = past.store.states.now()
    flight = past.store.states.take("db", "run-1", lease_seconds=5)
    data = {"percent": 12.5, "count": 3, "name": "x", "odd": True, "nan": float("nan")}
    series = ("percent", "name", "odd", "nan", "missing")
    result = Result("run-1", Status.ERROR, at, at + 30, 1.5, data, "refused", series=series)
    past.store.states.update(flight, lambda _: (State("db", Status.OK, at, 1, result), ()))
    (sample,) = past.history.samples("db", at - 60)
    assert sample == Sample(
        sample.at, Status.OK, sample.valid_until, "refused", {"response_time_ms": 1.5, "percent": 12.5}
    )
    assert (sample.at, sample.valid_until) == (pytest.approx(at, abs=1e-6), pytest.approx(at + 30, abs=1e-6))


def test_a_state_without_a_new_result_is_no_sample(past: Past) -> None:
    """One that is noted to be out of date was not observed anew."""
    past.write("db", sample := Sample(past.store.states.now(), Status.OK, past.store.states.now() + 30))
    flight = past.store.states.take("db", "look", lease_seconds=5)
    past.store.states.update(flight, lambda state: (state, ()))
    assert [found.at for found in past.history.samples("db", 0)] == [pytest.approx(sample.at, abs=1e-6)]


def test_many_leave_samples_where_they_are_wanted(past: Past) -> None:
    """Pods come and go: their states are kept, their samples are not."""
    flight = past.store.states.take("workers", "round-1", lease_seconds=5)
    sample = Sample(past.store.states.now(), Status.OK, past.store.states.now() + 30)
    reducers = {name: lambda _, name=name: (state_of(name, flight, sample), ()) for name in ("worker:a", "queue:q")}
    past.store.states.update_many(flight, reducers, sampled_checks={"queue:q"})
    assert len(past.history.samples("queue:q", sample.at - 60)) == 1
    assert len(past.history.samples("worker:a", sample.at - 60)) == 0


@pytest.mark.parametrize("compacted", [False, True])
def test_what_a_check_looked_like(past: Past, compacted: bool) -> None:
    """The last sample up to a moment, of each check that has one; of two days ago at most."""
    past.write("db", *(Sample(MIDNIGHT + at, Status.OK, MIDNIGHT + at + 30) for at in (10, 20, 4000)))
    past.write("web", Sample(MIDNIGHT - 40 * HOUR_SECONDS, Status.ERROR, MIDNIGHT, "timeout"))
    if compacted:
        past.history.compact(MIDNIGHT + DAY_SECONDS)

    def at(moment: float) -> dict[str, float]:
        return {
            name: sample.at - MIDNIGHT for name, sample in past.history.latest(["db", "web", "new"], moment).items()
        }

    assert at(MIDNIGHT + 19.9) == {"db": 10, "web": -40 * HOUR_SECONDS}
    assert at(MIDNIGHT + 20) == {"db": 20, "web": -40 * HOUR_SECONDS}
    assert at(MIDNIGHT + 3999) == {"db": 20, "web": -40 * HOUR_SECONDS}
    assert at(MIDNIGHT + 9 * HOUR_SECONDS) == {"db": 4000}
    assert at(MIDNIGHT - 60 * HOUR_SECONDS) == {}


def test_many_checks_at_once(past: Past) -> None:
    """Each has its own buckets, one that nobody knows has empty ones."""
    names = [f"check-{number}" for number in range(120)]
    for name in names[:3]:
        past.write(name, Sample(MIDNIGHT + 10, Status.ERROR, MIDNIGHT + 310))
    found = past.history.rollups(names, MIDNIGHT, MIDNIGHT + 600)
    assert list(found) == names
    assert [sum(found[name].times[3]) for name in names[:4]] == [300_000_000] * 3 + [0]
    assert all(len(buckets) == 2 for buckets in found.values())


@pytest.mark.parametrize("compacted", [False, True])
def test_forgotten_checks_have_no_past(new_past: Callable[..., Past], compacted: bool) -> None:
    """And the others keep theirs."""
    past = new_past(Retention(raw_seconds=2 * DAY_SECONDS))
    now = past.store.states.now()
    for name in ("db", "web"):
        past.write(name, *(Sample(now - at, Status.OK, now) for at in (90_000, 7200, 3600, 0)))
    if compacted:
        past.history.compact(now + HOUR_SECONDS)
    past.store.states.forget(["db"])
    for _ in range(2):
        assert len(past.history.samples("db", now - 2 * DAY_SECONDS)) == 0
        assert len(past.history.samples("web", now - 2 * DAY_SECONDS)) == 4
        buckets = past.history.rollups(["db"], now - 7200, now)["db"]
        assert uptime.uptime(buckets).unobserved == pytest.approx(7200 + (now - 7200) % 300, abs=1e-5)
        past.history.compact(now + 2 * HOUR_SECONDS)


def test_how_far_it_reaches(past: Past) -> None:
    """Nothing at first; then as far as the oldest sample of any check, packed or not: not to its hour or day."""
    assert past.history.reaches() == (None, None)
    past.write("web", Sample(MIDNIGHT + 7305, Status.OK, MIDNIGHT + 7400))
    past.write("db", Sample(MIDNIGHT + 7300.5, Status.OK, MIDNIGHT + 7400))
    for _ in range(2):
        assert past.history.reaches() == (pytest.approx(MIDNIGHT + 7300.5), pytest.approx(MIDNIGHT + 7300.5))
        past.history.compact(MIDNIGHT + DAY_SECONDS)


def test_no_history_in_memory() -> None:
    """What runs for months without Redis grows by no observation, and has its states and events all the same."""
    store = MemoryStore(keeps_history=False)
    for status in ("ok", "error", "ok"):
        run(store, "db", status)

    assert store.history.reaches() == (None, None)
    assert (len(store.states.transitions()), list(store.states.read().states)) == (3, ["db"])


def test_now_is_the_stores(past: Past) -> None:
    """In seconds."""
    assert past.store.states.now() == pytest.approx(time.time(), abs=5)
