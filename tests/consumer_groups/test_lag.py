"""The definitions: lag of a partition, skew of a topic."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.consumer_groups import GroupSight, PartitionSight
from monitor.policy.consumer_groups.lag import Lag, lags, partition_lag, skew_ratio
from tests.consumer_groups.groups import sight, tp

P = PartitionSight
PARTITIONS = [
    ("records wait", P(500, 100, 0), None, Lag(400, 400)),
    ("all is consumed", P(500, 500, 0), None, Lag(0, 0)),
    ("nobody asked where it begins", P(500, 100), None, Lag(400, 400)),
    ("its leader did not tell the end, it did before", P(None, 100), 450, Lag(350, 350, "no_end")),
    ("the end of before is behind what was committed since", P(None, 460), 450, Lag(0, 0, "no_end")),
    ("its leader never told the end", P(None, 100), None, Lag(None, 0, "no_end")),
    ("never committed, others were", P(500, None, 0), None, Lag(None, 0, "uncommitted")),
    ("never committed, and nothing was ever in it", P(0, None), None, Lag(0)),
    ("never committed, and nothing is left in it", P(500, None, 500), None, Lag(0)),
    ("committed what has expired since", P(500, 100, 200), None, Lag(None, 300, "expired")),
    ("committed what has expired, and nothing is left", P(500, 100, 500), None, Lag(None, 0, "expired")),
    ("committed at where it begins", P(500, 200, 200), None, Lag(300, 300)),
    ("committed beyond the end", P(500, 501, 0), None, Lag(None, 0, "beyond_end")),
    ("the group consumes it no more", P(500, 100, 0, "unsubscribed"), None, Lag(None, 0, "unsubscribed")),
    ("its topic is deleted", P(None, 100, None, "deleted"), 450, Lag(None, 0, "deleted")),
]


@pytest.mark.parametrize(("caption", "seen", "last", "lag"), PARTITIONS, ids=[row[0] for row in PARTITIONS])
def test_lag_of_a_partition(caption: str, seen: PartitionSight, last: int | None, lag: Lag) -> None:
    """What is unclean does not count, and is said."""
    assert partition_lag(seen, last, others_commit=True) == lag, caption


SKEWS = [
    ("one key", [400, 0, 0, 0, 0, 0], 6.0),
    ("evenly", [100, 100, 100], 1.0),
    ("twice as much on one", [200, 100], 1.33),
    ("one stray record", [1, 0, 0, 0, 0, 0], 1.0),
    ("just too little lag", [99, 0], 1.0),
    ("just enough lag", [100, 0], 2.0),
    ("one partition", [1000], 1.0),
    ("nothing waits", [0, 0, 0], 1.0),
    ("no partition", [], 1.0),
]


@pytest.mark.parametrize(("caption", "of", "ratio"), SKEWS, ids=[row[0] for row in SKEWS])
def test_skew_of_a_topic(caption: str, of: list[int], ratio: float) -> None:
    """max / mean, where it means something."""
    assert skew_ratio(of, min_lag=100) == ratio, caption


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**62), max_size=50), st.integers(0, 10**6))
def test_skew_is_between_one_and_the_number_of_partitions(of: list[int], min_lag: int) -> None:
    """By its definition: no threshold above the number of partitions can be passed."""
    assert 1.0 <= skew_ratio(of, min_lag) <= max(1, len(of))


offsets = st.none() | st.integers(0, 2**63)
partitions = st.builds(P, offsets, offsets, offsets, st.sampled_from([None, "leader", "deleted"]))


@settings(deadline=None)
@given(partitions, offsets, st.booleans())
def test_lag_is_never_negative(seen: PartitionSight, last: int | None, others: bool) -> None:
    """Whatever the leaders and the coordinator say, which they say at different moments."""
    lag = partition_lag(seen, last, others)
    assert lag.waiting >= 0
    assert lag.lag is None or lag.lag >= 0


@settings(deadline=None)
@given(st.dictionaries(st.builds(tp, st.integers(0, 9), st.sampled_from("abc")), partitions, max_size=30))
def test_lag_of_a_group(seen: dict) -> None:
    """Total, skew and hottest partition fit together."""
    found = lags(GroupSight("g", known=True, partitions=seen), {}, 100)
    assert found.total == sum(lag.lag or 0 for lag in found.partitions.values())
    assert found.skew is None or 1.0 <= found.skew <= max(1, found.widest)
    assert (found.hottest is None) == (found.total == 0)
    assert found.skew is None or math.isfinite(found.skew)


def test_the_worst_topic_counts() -> None:
    """Lag is summed over topics, skew is not."""
    even = {tp(i, "even"): P(1000, 0, 0) for i in range(3)}
    hot = {tp(i, "hot"): P(1000 if i == 2 else 0, 0, 0) for i in range(3)}
    found = lags(GroupSight("g", known=True, partitions={**even, **hot}), {}, 100)
    assert (found.total, found.skew, found.widest) == (4000, 3.0, 3)
    assert found.hottest == tp(2, "hot")


def test_a_topic_whose_ends_are_not_all_told_is_not_measured() -> None:
    """Of two partitions less, the ratio is another one: [100, 100, 100, 0] is even, [100, 0] is not."""
    seen = sight([100, 100, 100, 0])
    untold = {at: P(None, p.committed) if at.partition < 2 else p for at, p in seen.partitions.items()}
    found = lags(GroupSight("g", known=True, partitions=untold), {tp(0): 1100}, 100)
    assert found.skew is None
    assert found.total == 200  # one end is known from before
    assert found.notes == ("2 partitions without an end offset",)


def test_a_partition_without_offset_is_said_only_where_others_have_one() -> None:
    """A group that has just begun has committed nothing at all."""
    assert lags(sight([None, None]), {}, 100).notes == ()
    assert lags(sight([None, 5]), {}, 100).notes == ("1 partition without a committed offset",)
