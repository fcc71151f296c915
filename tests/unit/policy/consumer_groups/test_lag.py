"""The definitions: lag of a partition, skew of a topic."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.consumer_groups import GroupObservation, PartitionObservation
from monitor.policy.consumer_groups.lag import PartitionLag, derive_lags, partition_lag, skew_ratio
from tests.support.builders.consumer_groups import sight, tp

P = PartitionObservation
PARTITIONS = [
    ("records wait", P(500, 100, 0), None, PartitionLag(400)),
    ("all is consumed", P(500, 500, 0), None, PartitionLag(0)),
    ("nobody asked where it begins", P(500, 100), None, PartitionLag(400)),
    ("its leader did not tell the end, it did before", P(None, 100), 450, PartitionLag(350, "no_end")),
    ("the end of before is behind what was committed since", P(None, 460), 450, PartitionLag(0, "no_end")),
    ("its leader never told the end", P(None, 100), None, PartitionLag(None, "no_end")),
    ("never committed, others were", P(500, None, 0), None, PartitionLag(None, "uncommitted", 500)),
    ("never committed, and some records are gone", P(500, None, 300), None, PartitionLag(None, "uncommitted", 200)),
    ("never committed, and nobody knows where it begins", P(500, None), None, PartitionLag(None, "uncommitted", 500)),
    ("never committed, and its leader did not tell the end", P(None, None), 500, PartitionLag(None, "no_end")),
    ("never committed, and nothing was ever in it", P(0, None), None, PartitionLag(0)),
    ("never committed, and nothing is left in it", P(500, None, 500), None, PartitionLag(0)),
    ("retention has overtaken the group", P(500, 100, 200), None, PartitionLag(300, "expired", lost=100)),
    (
        "retention has overtaken the group, and nothing is left",
        P(500, 100, 500),
        None,
        PartitionLag(0, "expired", lost=400),
    ),
    ("committed at where it begins", P(500, 200, 200), None, PartitionLag(300)),
    ("committed beyond the end", P(500, 501, 0), None, PartitionLag(None, "beyond_end", 500)),
    ("what waits was aborted", P(500, 100, 0, next_record=500), None, PartitionLag(0)),
    ("some of what waits was aborted", P(500, 100, 0, next_record=480), None, PartitionLag(20)),
    (
        "retention took what was aborted, too",
        P(500, 100, 200, next_record=150),
        None,
        PartitionLag(300, "expired", lost=50),
    ),
    ("the group consumes it no more", P(500, 100, 0, "unsubscribed"), None, PartitionLag(None, "unsubscribed")),
    ("its topic is deleted", P(None, 100, None, "deleted"), 450, PartitionLag(None, "deleted")),
]


@pytest.mark.parametrize(("caption", "seen", "last", "lag"), PARTITIONS, ids=[row[0] for row in PARTITIONS])
def test_lag_of_a_partition(caption: str, seen: PartitionObservation, last: int | None, lag: PartitionLag) -> None:
    """End - max(committed, beginning, next record); of what is not known, a bound."""
    assert partition_lag(seen, last, group_commits=True) == lag, caption


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
def test_lag_is_never_negative(seen: PartitionObservation, last: int | None, others: bool) -> None:
    """Whatever the leaders and the coordinator say, which they say at different moments."""
    lag = partition_lag(seen, last, others)
    assert lag.lost >= 0
    assert lag.lag is None or lag.lag >= 0
    assert lag.upper_bound is None or lag.upper_bound >= 0


@settings(deadline=None)
@given(st.dictionaries(st.builds(tp, st.integers(0, 9), st.sampled_from("abc")), partitions, max_size=30))
def test_lag_of_a_group(seen: dict) -> None:
    """Total, skew and hottest partition fit together."""
    found = derive_lags(GroupObservation("g", known=True, partitions=seen), {}, 100)
    assert found.total == sum(lag.lag or 0 for lag in found.partitions.values())
    assert found.skew is None or 1.0 <= found.skew <= max(1, found.max_partitions)
    assert (found.hottest is None) == (found.total == 0)
    assert found.skew is None or math.isfinite(found.skew)


def test_the_worst_topic_counts() -> None:
    """Lag is summed over topics, skew is not."""
    even = {tp(i, "even"): P(1000, 0, 0) for i in range(3)}
    hot = {tp(i, "hot"): P(1000 if i == 2 else 0, 0, 0) for i in range(3)}
    found = derive_lags(GroupObservation("g", known=True, partitions={**even, **hot}), {}, 100)
    assert (found.total, found.skew, found.max_partitions) == (4000, 3.0, 3)
    assert found.hottest == tp(2, "hot")


def test_a_topic_whose_ends_are_not_all_told_is_not_measured() -> None:
    """Of two partitions less, the ratio is another one: [100, 100, 100, 0] is even, [100, 0] is not."""
    seen = sight([100, 100, 100, 0])
    untold = {at: P(None, p.committed) if at.partition < 2 else p for at, p in seen.partitions.items()}
    found = derive_lags(GroupObservation("g", known=True, partitions=untold), {tp(0): 1100}, 100)
    assert found.skew is None
    assert found.total == 200  # one end is known from before
    assert found.remarks == ("2 partitions without an end offset",)


def test_a_partition_without_offset_is_said_only_where_others_have_one() -> None:
    """A group that has just begun has committed nothing at all."""
    assert derive_lags(sight([None, None]), {}, 100).remarks == ()
    (note,) = derive_lags(sight([None, 5]), {}, 100).remarks
    assert note == "1 partition without a committed offset: lag unknown, at most 1000"


# Groups of six partitions, of which some have no commit: each partition's (end, committed). `auto.offset.reset` decides
# where a consumer begins that has committed nothing: `earliest` at the beginning, `latest` at the end.
HOT_OF_ISSUE_10 = [(2750, 1), *[(200, None)] * 5]
UNKNOWN = [
    ("a hot key, and nothing else was ever written", [(2750, 1), *[(0, None)] * 5], 6.0),
    ("latest, a hot key that alone was read", HOT_OF_ISSUE_10, 4.4),
    ("earliest, one consumer that goes partition by partition", [(3000, 500), *[(2500, None)] * 5], 1.0),
    ("latest, a lot was there before", [(2750, 1), *[(100_000, None)] * 5], 1.0),
    ("earliest, the unread partitions are the hot ones", [(100, 0), (9000, None), *[(0, 0)] * 4], 1.0),
    ("some are committed, one is not", [(400, 0), (0, 0), (0, 0), (0, 0), (0, 0), (100, None)], 4.8),
    ("nothing is committed", [(400, None), (0, None), (0, None), (0, None), (0, None), (0, None)], 1.0),
    ("the known lag is too little to count", [(99, 0), *[(0, None)] * 5], 1.0),
]


@pytest.mark.parametrize(("caption", "offsets", "ratio"), UNKNOWN, ids=[row[0] for row in UNKNOWN])
def test_what_is_unknown_is_bounded(caption: str, offsets: list[tuple[int, int | None]], ratio: float) -> None:
    """It counts with all its records in the mean, and never in the maximum."""
    seen = {tp(i): P(end, committed, 0) for i, (end, committed) in enumerate(offsets)}
    found = derive_lags(GroupObservation("g", known=True, partitions=seen), {}, 100)
    assert found.skew == ratio, caption
    unread = sum(committed is None and end > 0 for end, committed in offsets)
    others = any(committed is not None for _, committed in offsets)
    assert bool(unread and others) == any("without a committed offset" in note for note in found.remarks)


counts = st.integers(0, 5000)
maybe_committed = st.lists(st.tuples(counts, counts, st.booleans()), min_size=2, max_size=12)


@settings(deadline=None)
@given(maybe_committed)
def test_the_ratio_is_never_above_the_true_one_for_earliest(rows: list[tuple[int, int, bool]]) -> None:
    """A consumer that begins at the beginning has all records of a partition before it that it never committed."""
    seen = {tp(i): P(done + rest, done if known else None, 0) for i, (done, rest, known) in enumerate(rows)}
    truth = [rest if known else done + rest for done, rest, known in rows]
    found = derive_lags(GroupObservation("g", known=True, partitions=seen), {}, 100)
    assert found.skew is not None
    assert found.skew <= max(1.0, round(max(truth) * len(truth) / max(1, sum(truth)), 2))


def test_what_the_group_does_not_want_counts_as_nothing() -> None:
    """Partitions that it was seen to pass over; it is still not known, and said."""
    seen = {tp(i): P(end, committed, 0) for i, (end, committed) in enumerate(HOT_OF_ISSUE_10)}
    found = derive_lags(GroupObservation("g", known=True, partitions=seen), {}, 100, {tp(i) for i in range(1, 6)})
    assert found.skew == 6.0
    assert found.remarks == ("5 partitions without a committed offset: lag unknown, at most 1000",)


def test_an_end_that_is_not_known_leaves_no_ratio() -> None:
    """Also of a partition without a commit: its records are not bounded."""
    seen = {tp(0): P(1000, 0, 0), tp(1): P(None, None), tp(2): P(0, 0)}
    assert derive_lags(GroupObservation("g", known=True, partitions=seen), {}, 100).skew is None
