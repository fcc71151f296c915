"""Samples of a past: a store with some, and random ones.

Random pasts have gaps, restarts, changing validity, samples on boundaries, the same moment twice, any order. They are
made of a seed and a size, because hypothesis takes long to draw thousands of numbers; it still shrinks the size.
"""

from __future__ import annotations

from random import Random

from hypothesis import strategies as st

from monitor.history.samples import DAY_SECONDS, RESPONSE_TIME, Sample
from monitor.model.checks import Status
from monitor.store.memory.store import MemoryStore
from tests.support.builders import NOW

HOUR = 3600.0
READ_AT = NOW + 90.0
MIDNIGHT = int(NOW) - 12 * 3600
STATUSES = [Status.OK, Status.OK, Status.OK, Status.WARNING, Status.ERROR, Status.ERROR, Status.UNKNOWN]
REASONS = [None, None, "timeout", "refused", "above_threshold", "é\U0001f600"]
BEGINS = [0.0, 299.0, 3599.999999, 3600.0, 80_000.25, 86_390.0]
STEPS = [1.0, 9.999999, 10.0, 10.037114, 60.0, 299.999999, 300.0]
GAPS = [0.0, 0.000001, 300.0, 1800.0, 3600.0, 7201.5, DAY_SECONDS]
VALID = [0.0, 0.5, 1.0, 30.0, 300.0, 900.0, 3600.0, 7200.0, 50_000.0, 3.0 * DAY_SECONDS]


def make(seed: int, size: int) -> list[Sample]:
    """Return ``size`` samples from ``MIDNIGHT`` on, in the order in which they might be written."""
    chance = Random(seed)
    at, step, valid = MIDNIGHT + chance.choice(BEGINS), chance.choice(STEPS), chance.choice(VALID)
    found = []
    for _ in range(size):
        at = round(at + (chance.choice(GAPS) if chance.random() < 0.1 else step), 6)
        if chance.random() < 0.1:
            valid, step = chance.choice(VALID), chance.choice(STEPS)
        series = {name: _value(chance) for name in ("response_time_ms", "percent", "lag") if chance.random() < 0.8}
        status, reason = chance.choice(STATUSES), chance.choice(REASONS)
        found.append(Sample(at, status, round(at + valid, 6), reason, series))
    if chance.random() < 0.3:
        chance.shuffle(found)
    return found


def samples(max_size: int = 80) -> st.SearchStrategy[list[Sample]]:
    """Draw any past of up to ``max_size`` samples."""
    return st.builds(make, st.integers(0, 2**32), st.integers(0, max_size))


def with_a_past(hours: float = 2.0, every: float = 10.0) -> MemoryStore:
    """Return a store at READ_AT with samples of ``database``, which are in error from 11:00 to 11:05, else ok."""
    store = MemoryStore(lambda: READ_AT)
    samples = []
    count = int(hours * HOUR / every)
    for number in range(count):
        at = READ_AT - (count - number) * every + 5
        failing = NOW - HOUR <= at < NOW - HOUR + 300
        status, reason = (Status.ERROR, "timeout") if failing else (Status.OK, None)
        series = {RESPONSE_TIME: float(number % 7), "percent": 50.0 + number % 3}
        samples.append(Sample(at, status, at + 3 * every, reason, series))
    store.history.add("database", samples)
    return store


def _value(chance: Random) -> float:
    if chance.random() < 0.02:
        return chance.choice([1e300, -1e300, 5e-324, 0.1 + 0.2, -0.0, 2.0**60, 1e17])
    return chance.choice([float(chance.randint(-(10**6), 10**6)), round(chance.random() * 1e5, 3), chance.random()])
