"""What is remembered: bounded whatever happens, readable by the next run, and harmless when it is not ours."""

from __future__ import annotations

import dataclasses
import json
import random
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.model.checks import Outcome, Status
from monitor.model.consumer_groups import GroupMember, GroupObservation, PartitionObservation
from monitor.policy.consumer_groups.codec import GroupMemories, decode, encode
from monitor.policy.consumer_groups.judge import judge_observation
from monitor.policy.consumer_groups.limits import Limits
from monitor.policy.consumer_groups.memory import (
    SUSTAINED_PIECES,
    WINDOW_BUCKETS,
    GroupMemory,
    GroupVerdict,
    new_memory,
)
from monitor.policy.consumer_groups.outcomes import GroupRound, WatchedGroups, judge_groups
from tests.support.builders import NOW
from tests.support.builders.consumer_groups import Traffic, Watch, sight, tp

# Whole histories take a while to make up, on a busy machine.
patient = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])

offsets = st.none() | st.integers(0, 2**63)
words = st.text(max_size=3)
at = st.builds(tp, st.integers(0, 5), st.sampled_from(["a", "b", "ä\U0001f600"]))
sights = st.builds(
    GroupObservation,
    st.just("g"),
    known=st.booleans(),
    state=st.sampled_from(["", "Stable", "Empty", "PreparingRebalance", "Reconciling", "Dead", "New"]),
    members=st.lists(st.builds(GroupMember, words, words, words, st.frozensets(at, max_size=4)), max_size=3).map(tuple),
    partitions=st.dictionaries(
        at,
        st.builds(
            PartitionObservation, offsets, offsets, offsets, st.sampled_from([None, "leader", "deleted"]), offsets
        ),
        max_size=5,
    ),
)
limits = st.builds(
    Limits,
    window_seconds=st.floats(0.1, 10_000),
    sustained_seconds=st.floats(0, 1000),
    skew_threshold=st.none() | st.floats(1, 10),
    min_consumers=st.integers(0, 3),
    max_lag=st.none() | st.integers(0, 10**6),
    max_drain_eta_seconds=st.none() | st.floats(1, 1000),
    stalled_after_seconds=st.floats(0.1, 1000),
    rebalancing_after_seconds=st.floats(0.1, 1000),
    start_grace_seconds=st.floats(0, 1000),
)
steps = st.lists(st.tuples(sights, st.floats(-10_000, 10_000) | st.floats(0, 30)), max_size=12)


@patient
@given(steps, limits)
def test_the_judge_is_total(history: list[tuple[GroupObservation, float]], rules: Limits) -> None:
    """Any looks at any times give a verdict that can be stored, and a memory that is read back as it was."""
    watch = Watch(rules)
    for seen, after in history:
        verdict = watch.look(seen, after)
        json.dumps(verdict.data, allow_nan=False)
        assert (verdict.reason is None) == (verdict.status is Status.OK)
        assert verdict.status is Status.UNKNOWN or not verdict.early
        assert verdict.data.get("lag", 0) >= 0
        assert 1.0 <= verdict.data.get("skew_ratio", 1.0) <= max(1, len(seen.partitions))
        remembered = decode(watch.text, watch.now)
        assert remembered.groups
        assert encode(remembered, watch.now) == watch.text
        assert all(each.observed_at <= watch.now for each in remembered.groups.values())


@patient
@given(steps, limits, sights, st.floats(0, 1000))
def test_the_same_memory_and_the_same_sight_give_the_same_verdict(
    history: list[tuple[GroupObservation, float]], rules: Limits, last: GroupObservation, after: float
) -> None:
    """Nothing else is looked at."""
    watch = Watch(rules)
    for seen, pause in history:
        watch.look(seen, pause)
    now = round(watch.now + after, 1)
    assert judge_observation(last, decode(watch.text, now).groups.get("g"), now, watch.limits) == judge_observation(
        last, decode(watch.text, now).groups.get("g"), now, watch.limits
    )


def test_it_stays_as_it_is_after_a_thousand_runs() -> None:
    """However often and however irregularly somebody looks, whatever he sees. A group of ten partitions: 1 kB."""
    chance = random.Random(7)
    watch = Watch(window_seconds=3600, sustained_seconds=600, min_consumers=3)
    sizes = []
    for _ in range(1000):
        lags = [chance.choice([0, 5, 10_000_000]) for _ in range(10)]
        state = chance.choice(["Stable", "PreparingRebalance"])
        seen = sight(lags, consumers=chance.randrange(5), state=state, committed=chance.randrange(10**9))
        watch.look(seen, after=chance.choice([0, 0.1, 1, 10, 60, 1000]))
        sizes.append(len(watch.text or ""))
        memory = watch.memory
        assert memory is not None
        assert len(memory.buckets) <= WINDOW_BUCKETS + 2
        assert len(memory.recent) <= SUSTAINED_PIECES + 2
    assert max(sizes) < 1600
    assert max(sizes[500:]) <= max(sizes[:500]) * 1.2


FOREIGN = [
    ("none", None),
    ("nothing", ""),
    ("no JSON", "{"),
    ("another document", '{"answer": 42}'),
    ("a list", "[1, 2]"),
    ("an older version", '{"v": 1, "at": 1, "first": 0, "groups": {}}'),
    ("a newer version", '{"v": 3, "at": 1, "first": 0, "groups": {}}'),
    ("no groups", '{"v": 2, "at": 1, "first": 0, "groups": 7}'),
    ("times that are none", '{"v": 2, "at": "yesterday", "first": 0, "groups": {}}'),
    ("not a number", '{"v": 2, "at": NaN, "first": 0, "groups": {}}'),
    ("deeper than anybody digs", "[" * 100_000),
]


@pytest.mark.parametrize(("caption", "text"), FOREIGN, ids=[row[0] for row in FOREIGN])
def test_what_is_not_ours_is_as_none(caption: str, text: str | None) -> None:
    """A memory is a convenience: without it a check begins anew."""
    assert decode(text, NOW) == GroupMemories(NOW), caption


@patient
@given(st.data())
def test_what_was_tampered_with_is_read_or_left_out(data: st.DataObject) -> None:
    """A group whose memory cannot be read begins anew; the others keep theirs."""
    watch = Watch()
    for each in Traffic([10.0] * 3, [5.0] * 3).every(10, 5):
        watch.look(each)
    document = json.loads(watch.text or "")
    document["groups"]["other"] = json.loads(json.dumps(document["groups"]["g"]))
    place: Any = document["groups"]["g"]
    while True:
        keys = list(range(len(place))) if isinstance(place, list) else list(place)
        key = data.draw(st.sampled_from(keys))
        if not place[key] or not isinstance(place[key], (list, dict)) or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(st.recursive(st.none() | st.integers() | st.text(max_size=3), st.lists, max_leaves=3))
    book = decode(json.dumps(document), watch.now + 10)
    assert "other" in book.groups
    verdict, memory = judge_observation(sight(), book.groups.get("g"), watch.now + 10, watch.limits)
    assert verdict is not None
    assert decode(encode(GroupMemories(NOW, {"g": memory}), watch.now + 10), watch.now + 10).groups["g"] == memory


def test_a_verdict_is_remembered_where_it_may_have_to_be_kept() -> None:
    """With all that is public of it."""
    verdict = GroupVerdict(Status.ERROR, "skew", "Hot-key skew high", {"lag": 5, "note": "x"}, early=False)
    memory = dataclasses.replace(new_memory(NOW), verdict=verdict, numbers_at=NOW - 12.5)
    assert decode(encode(GroupMemories(NOW, {"g": memory}), NOW), NOW).groups["g"] == memory


def test_ages_do_not_drift() -> None:
    """Written down as ages a thousand times over, a moment stays where it was."""
    watch = Watch()
    watch.look(sight())
    first = watch.memory
    for _ in range(1000):
        watch.look(sight(), after=10.07)
    assert isinstance(first, GroupMemory)
    assert watch.memory is not None
    assert watch.memory.first_at == first.first_at


def test_many_groups() -> None:
    """A tenth of a thousand: at most a kilobyte each, and half a millisecond of CPU."""
    groups = {f"group-{i:04}": Traffic([10.0 + i % 7] * 10, [9.0 + i % 5] * 10) for i in range(100)}
    wanted = WatchedGroups(("group-*",), Limits(min_consumers=2))

    def once(memory: str | None, now: float) -> tuple[Outcome, float]:
        seen = {name: dataclasses.replace(each.after(30), group=name) for name, each in groups.items()}
        began = time.process_time()
        outcome = judge_groups(wanted, decode(memory, now), now, lambda current: _look(current, seen))
        return outcome, time.process_time() - began

    memory, times = None, []
    for i in range(14):
        outcome, seconds = once(memory, NOW + 30.0 * i)
        memory = outcome.memory
        times.append(seconds)
    assert memory is not None
    assert 60_000 <= len(memory) <= 100_000
    assert min(times[-3:]) < 1.0  # about 0.04 s
    assert len(outcome.children) == 100


def _look(current: GroupRound, seen: dict[str, GroupObservation]) -> None:
    for each in seen.values():
        current.add_observation(each)
