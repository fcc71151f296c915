"""The search for the time of a record: how exact it is after how many questions, on made-up partitions."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from monitor.checks.kafka.ages import REQUESTS, TimestampSearch
from tests.support.builders import NOW

NOW_MS = NOW * 1000
DAY = 86_400_000.0


def first_at(times: Sequence[float], asked: float) -> tuple[int, float]:
    """What a broker answers: the first record whose time is not less, or that there is none."""
    highest, at = float("-inf"), -1
    for offset, time in enumerate(times):
        highest = max(highest, time)
        if highest >= asked:
            at = offset
            break
    return (at, times[at]) if at >= 0 else (-1, -1)


def search(times: Sequence[float], offset: int, beginning: int = 0) -> tuple[float | None, int]:
    """The time that is found, and how many questions it took."""
    found, asked = TimestampSearch(offset, NOW_MS, NOW_MS), 0
    there = list(times[beginning:])
    while asked < REQUESTS and (time := found.next_time) is not None:
        at, when = first_at(there, time)
        found.learn(time, at if at < 0 else at + beginning, when)
        asked += 1
    return found.time, asked


def evenly(records: int, over: float) -> list[float]:
    return [NOW_MS - over + n * over / records for n in range(records)]


@pytest.mark.parametrize("over", [60_000.0, 3_600_000.0, DAY, 7 * DAY, 365 * DAY])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_any_age_in_any_retention(over: float, share: float) -> None:
    """Within a fifth, or two seconds; as a rule a few percent."""
    times = evenly(20_000, over)
    offset = int(share * (len(times) - 1))
    found, asked = search(times, offset)
    age = NOW_MS - times[offset]
    assert asked <= REQUESTS
    assert found is not None
    assert abs((NOW_MS - found) - age) <= max(2000.0, 0.2 * age)


def test_the_oldest_record_takes_one_question() -> None:
    """Nothing was ever consumed, or the retention has overtaken what was."""
    times = evenly(1000, DAY)
    assert search(times, 0) == (times[0], 1)
    assert search(times, 100, beginning=300) == (times[300], 1)


def test_few_records_are_found_exactly() -> None:
    """Far apart, as those of a quiet topic."""
    times = [NOW_MS - 6 * DAY, NOW_MS - 2 * DAY, NOW_MS - 3_000_000, NOW_MS - 40_000]
    for offset in range(len(times)):
        found, _ = search(times, offset)
        assert found == pytest.approx(times[offset], abs=max(2000.0, 0.03 * (NOW_MS - times[offset])))


def test_a_burst_is_one_moment() -> None:
    """All records of one millisecond: each of them is as old."""
    times = [NOW_MS - 90_000.0] * 500
    assert search(times, 250)[0] == pytest.approx(times[0], abs=2000)


def test_producers_whose_clocks_differ() -> None:
    """No search fails; it is off by no more than they are."""
    chance = random.Random(1)
    times = [time + chance.uniform(-30_000, 30_000) for time in evenly(5000, DAY)]
    for offset in (0, 10, 2500, 4900, 4999):
        found, asked = search(times, offset)
        assert asked <= REQUESTS
        assert found is None or abs(found - times[offset]) <= max(90_000, 0.2 * (NOW_MS - times[offset]))


def test_records_without_times() -> None:
    """As clients before 0.10 wrote them: it is not known."""
    found = TimestampSearch(5, NOW_MS, NOW_MS)
    found.learn(0, -1, -1)
    assert (found.next_time, found.time) == (None, None)


def test_records_of_the_future() -> None:
    """They have not waited yet."""
    times = [NOW_MS + n * 1000 for n in range(1, 100)]
    found, _ = search(times, 50)
    assert found is None or found >= NOW_MS


def test_what_was_found_stays() -> None:
    """Questions for another record of the partition change nothing."""
    found = TimestampSearch(0, NOW_MS, NOW_MS)
    found.learn(0, 0, NOW_MS - DAY)
    found.learn(int(NOW_MS - 1000), 7, NOW_MS - 500)
    assert (found.next_time, found.time) == (None, NOW_MS - DAY)


def test_too_vague_is_not_told() -> None:
    """Where others used up the questions: between yesterday and now is no age."""
    found = TimestampSearch(500, NOW_MS, NOW_MS)
    found.learn(0, 0, NOW_MS - DAY)
    assert found.time is None
