"""What is said of groups over time: of what is nobody's fault, nothing; of what is, in time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import pytest

from monitor.model.checks import Status
from monitor.model.consumer_groups import (
    GroupMember,
    GroupObservation,
    PartitionObservation,
    TopicPartition,
    WaitingRecord,
)
from monitor.policy.consumer_groups.memory import GroupVerdict
from monitor.policy.consumer_groups.standstill import standing_partitions
from tests.support.builders import NOW
from tests.support.builders.consumer_groups import Traffic, Watch, members, sight, tp

FAILING = (Status.ERROR, Status.UNKNOWN)


def fails(verdict: GroupVerdict) -> bool:
    return verdict.status in FAILING and not verdict.early


def never_fails(verdicts: Iterable[GroupVerdict]) -> bool:
    """And nothing but ok and `starting` is said, either."""
    return all(each.status is Status.OK or each.early for each in verdicts)


def reasons(verdicts: Iterable[GroupVerdict]) -> list[str | None]:
    return [each.reason for each in verdicts]


# No false alarm.


def test_an_idle_group() -> None:
    """Members, and nothing to do."""
    assert never_fails(Watch(min_consumers=2).during(900, sight()))


def test_a_fresh_group() -> None:
    """Not there, then in its first rebalance, then with members and without commits, then consuming."""
    watch = Watch(min_consumers=2)
    seen = watch.during(100, GroupObservation("g", known=False))
    seen += watch.during(20, sight(consumers=1, state="PreparingRebalance", partitions={}))
    seen += watch.during(60, sight([None] * 6, consumers=1))
    seen += watch.during(60, sight([None] * 6, consumers=2))
    seen += watch.during(600, sight())
    assert never_fails(seen)
    assert reasons(seen)[0] == "unknown_group"
    assert reasons(seen)[12] == "starting"
    assert seen[-1].data["consumers_min"] == 2


def test_members_that_came_late_are_not_told_of_after_the_grace() -> None:
    """The fewest consumers of the window are then those of before they were enough; these do not count."""
    watch = Watch(min_consumers=2)
    seen = watch.during(200, sight(consumers=1)) + watch.during(600, sight(consumers=2))
    assert never_fails(seen)


def test_an_empty_topic() -> None:
    """No offset is committed where nothing was ever written."""
    empty = {tp(i): PartitionObservation(0, None, 0) for i in range(6)}
    assert never_fails(Watch().during(600, sight(partitions=empty)))


def test_one_stray_record() -> None:
    """By the bare formula a skew of 6; that nobody consumes it may be the end of a transaction."""
    assert never_fails(Watch().during(900, sight([1, 0, 0, 0, 0, 0])))


def test_a_rolling_restart() -> None:
    """One of three is away for ten seconds, then the next one: with a rebalance each time it goes and comes."""
    watch = Watch(min_consumers=3)
    seen = watch.during(400, sight(consumers=3), every=5)
    for _ in range(3):
        seen += watch.during(5, sight(consumers=2, state="PreparingRebalance"), every=5)
        seen += watch.during(5, sight(consumers=2), every=5)
        seen += watch.during(5, sight(consumers=3, state="CompletingRebalance"), every=5)
        seen += watch.during(10, sight(consumers=3), every=5)
    seen += watch.during(600, sight(consumers=3), every=5)
    assert never_fails(seen)
    assert seen[-1].data["consumers_min"] == 3


@pytest.mark.parametrize("commit_every", [60.0, 120.0])
def test_commits_further_apart_than_looks(commit_every: float) -> None:
    """Neither stalled, nor are rates and the time to drain absurd."""
    watch = Watch(max_drain_eta_seconds=900)
    traffic = Traffic([100.0] * 6, [200.0] * 6, commit_every=commit_every)
    seen = [watch.look(each) for each in traffic.every(10, 180)]
    assert never_fails(seen)
    told = [each.data["consume_rate"] for each in seen if "consume_rate" in each.data]
    assert len(told) > 150
    assert all(300 <= rate <= 1000 for rate in told)  # 600 a second
    assert all(each.data.get("drain_eta_seconds", 0) <= 2.5 * commit_every for each in seen)


def test_a_burst_after_a_quiet_time() -> None:
    """How long it takes to drain is told by how fast it is consumed while there is something to consume."""
    watch = Watch(max_drain_eta_seconds=200)
    traffic = Traffic([0.0] * 6, [100.0] * 6)
    seen = [watch.look(each) for each in traffic.every(10, 60)]
    traffic.ends = [end + 12_000 for end in traffic.ends]
    burst = [watch.look(each) for each in traffic.every(10, 14)]
    assert never_fails(seen + burst)
    etas = [each.data["drain_eta_seconds"] for each in burst if "drain_eta_seconds" in each.data]
    assert etas == pytest.approx([10.0 * left for left in range(8, -1, -1)] + [0.0, 0.0])


def test_a_run_that_is_missing() -> None:
    """Or several: a spike before and a spike after are two spikes."""
    watch = Watch()
    seen = watch.during(600, sight())
    seen += [watch.look(sight([400, 0, 0, 0, 0, 0])), watch.look(sight([400, 0, 0, 0, 0, 0]), after=90)]
    seen += watch.during(600, sight())
    assert never_fails(seen)


def test_a_spike() -> None:
    """A burst that is consumed within seconds."""
    watch = Watch()
    seen = watch.during(300, sight()) + watch.during(20, sight([4000, 0, 0, 0, 0, 0])) + watch.during(300, sight())
    assert never_fails(seen)


def test_an_end_that_was_not_told() -> None:
    """A leader is away for a while: other partitions would look skewed without those of it."""
    watch = Watch(stalled_after_seconds=60)
    traffic = Traffic([100.0] * 6, [100.0] * 6, commit_every=20)
    seen = [watch.look(each) for each in traffic.every(10, 60)]
    for each in traffic.every(10, 12):
        hidden = {at: dataclasses.replace(p, end=None) if at.partition < 5 else p for at, p in each.partitions.items()}
        seen.append(watch.look(dataclasses.replace(each, partitions=hidden)))
    assert seen[-1].data["note"] == "5 partitions without an end offset"
    seen += [watch.look(each) for each in traffic.every(10, 60)]
    assert never_fails(seen)
    assert "note" not in seen[-1].data


def test_a_broker_that_was_down() -> None:
    """For most of a window nobody could look, nor commit: what stood still just before has not stalled."""
    watch = Watch(skew_threshold=None)
    busy = Traffic([50.0] * 6, [50.0] * 6, commit_every=120)
    seen = [watch.look(each) for each in busy.every(10, 65)]
    last = busy.after(0)
    seen += [watch.look(last, after=280), *watch.during(60, last)]
    assert never_fails(seen)
    assert first_failure(watch.during(600, last)) == 240.0, "but it does once it has stood still for 5 minutes"


def test_a_broker_that_comes_and_goes() -> None:
    """One look between two outages does not make outages the usual pace of looks."""
    watch = Watch(skew_threshold=None)
    busy = Traffic([50.0] * 6, [50.0] * 6, commit_every=30)
    seen = [watch.look(each) for each in busy.every(10, 64)]
    last = busy.after(0)
    assert last.partitions[tp(0)].end != last.partitions[tp(0)].committed
    seen += [watch.look(last, after=360), watch.look(last, after=360), watch.look(last, after=360)]
    assert never_fails(seen)


def test_the_night_of_a_laptop() -> None:
    """Nobody looked for eight hours, and nobody consumed either: nothing has stalled."""
    watch = Watch(stalled_after_seconds=60)
    busy = Traffic([50.0] * 6, [50.0] * 6, commit_every=30)
    seen = [watch.look(each) for each in busy.every(10, 60)]
    last = busy.after(0)
    seen += [watch.look(last, after=8 * 3600), *(watch.look(each) for each in busy.every(10, 30))]
    assert never_fails(seen)


def test_a_clock_that_goes_back() -> None:
    """No time has passed then; nothing is forgotten or told."""
    watch = Watch(min_consumers=2)
    seen = [*watch.during(600, sight()), watch.look(sight(), after=-5000), *watch.during(600, sight())]
    assert never_fails(seen)
    assert watch.memory is not None
    assert watch.memory.first_at == watch.now - 1190


def test_a_topic_that_a_release_has_dropped() -> None:
    """What was committed in it stays for days, while others go on to write there."""
    watch = Watch(skew_min_lag=1, max_lag=1000)
    both = {tp(p, topic): PartitionObservation(1000, 1000, 0) for topic in ("orders", "old") for p in range(6)}
    seen = watch.during(300, sight(partitions=both))
    for n in range(120):
        left = {tp(p, "old"): PartitionObservation(1000 + 50 * n * p, 1000, 0, "unsubscribed") for p in range(6)}
        seen.append(watch.look(sight(partitions={**both, **left})))
    assert never_fails(seen)
    assert seen[-1].data["note"] == "6 partitions of a topic that no member subscribes to"
    assert seen[-1].data["lag"] == 0


def test_partitions_that_were_just_added() -> None:
    """Consumers learn of them after some minutes."""
    watch = Watch()
    more = {**sight().partitions, tp(6): PartitionObservation(0, None, 0), tp(7): PartitionObservation(50, None, 0)}
    seen = watch.during(300, sight()) + watch.during(300, sight(partitions=more))
    assert never_fails(seen)
    assert seen[-1].data["unassigned_partitions"] == 2


def test_looks_that_are_always_rare() -> None:
    """Every ten minutes, with a window of five: that is no gap, and no alarm."""
    watch = Watch(min_consumers=2)
    assert never_fails(watch.during(7200, sight(), every=600))


# Alarms, in time.


def first_failure(verdicts: list[GroupVerdict], every: float = 10.0) -> float | None:
    """After how many seconds the first one failed."""
    return next((every * (i + 1) for i, each in enumerate(verdicts) if fails(each)), None)


def test_a_hot_key() -> None:
    """It fails once it has been so for 30 s, and until a window after it is over; nothing is said of the stall."""
    watch = Watch()
    watch.during(60, sight())
    hot = watch.during(120, sight([400, 0, 0, 0, 0, 0]))
    assert first_failure(hot) == 40.0  # seen at 10 s, still there at 40 s
    assert hot[-1].message == "Hot-key skew high: 6.00x (threshold: 4.0x, window: 5m)"
    assert hot[-1].data["hottest_partition"] == "orders[0]"
    after = watch.during(600, sight())
    failing = [each for each in after if fails(each)]
    assert 290 <= 10 * len(failing) <= 340  # the window, and at most one more of its ten pieces
    assert after[-1].status is Status.OK


def test_a_hot_key_at_once() -> None:
    """With `sustained` 0 one look is enough, as it always was with the bare maximum."""
    watch = Watch(sustained_seconds=0)
    assert fails(watch.look(sight([400, 0, 0, 0, 0, 0])))
    assert all(map(fails, watch.during(290, sight())))
    assert not fails(watch.during(60, sight())[-1])


def test_a_group_that_hovers_around_the_threshold() -> None:
    """What counts is the value that it stayed above, not the highest."""
    watch = Watch(skew_threshold=2.0)
    seen = []
    for _ in range(20):
        seen += watch.during(20, sight([400, 0, 0, 0, 0, 0])) + watch.during(10, sight([300, 100, 100]))
    assert never_fails(seen)
    assert {each.data["skew_ratio_max"] for each in seen[10:]} == {1.8}


def test_a_consumer_that_is_gone() -> None:
    """Also one that comes and goes, for a window after it was away for long enough."""
    watch = Watch(min_consumers=2)
    watch.during(400, sight())
    gone = watch.during(60, sight(consumers=1))
    assert first_failure(gone) == 40.0
    back = watch.during(600, sight())
    assert 290 <= 10 * sum(map(fails, back)) <= 340
    assert back[-1].status is Status.OK


def test_nobody_comes() -> None:
    """Nothing fails within the grace; right after it, and not only when it was seen for another 30 s."""
    watch = Watch(min_consumers=2)
    seen = watch.during(600, sight(consumers=0, state="Empty"))
    assert {each.reason for each in seen[:29]} == {"starting"}
    assert first_failure(seen) == 310.0
    assert seen[-1].reason == "under_replicated"
    assert seen[-1].message.startswith("Under-replicated: 0 consumers (min: 2, window: 5m)")


def test_an_unknown_group() -> None:
    """It fails after the grace, as unknown."""
    watch = Watch()
    seen = watch.during(400, GroupObservation("g", known=False))
    assert first_failure(seen) == 310.0
    assert {(each.status, each.reason) for each in seen} == {(Status.UNKNOWN, "unknown_group")}


def test_a_group_that_was_there() -> None:
    """It had its time to start: it is missed after 30 s."""
    watch = Watch()
    watch.during(400, sight())
    assert first_failure(watch.during(400, GroupObservation("g", known=False))) == 40.0


def test_a_group_that_comes_back_has_not_stood_still() -> None:
    """Nobody knew it for a while: what waits since before has waited for nobody."""
    watch = Watch()
    waiting = sight([50] * 6)
    assert never_fails(watch.during(200, waiting))
    watch.during(600, GroupObservation("g", known=False))
    assert first_failure(watch.during(600, waiting)) == 310.0


def test_a_group_that_comes_late_has_its_grace() -> None:
    """However long it was waited for."""
    watch = Watch(min_consumers=2)
    watch.during(1000, GroupObservation("g", known=False))
    assert first_failure(watch.during(400, sight(consumers=1))) == 310.0


def test_a_frozen_consumer() -> None:
    """It is a member still (SIGSTOP, within its session timeout) and commits nothing: stalled."""
    watch = Watch(skew_threshold=None)
    traffic = Traffic([10.0] * 6, [10.0] * 6)
    for each in traffic.every(10, 60):
        watch.look(each)
    traffic.consume[0] = 0.0
    seen = [watch.look(each) for each in traffic.every(10, 60)]
    assert first_failure(seen) == 310.0
    assert seen[-1].reason == "stalled"
    assert "1 partition without progress, such as orders[0]" in seen[-1].message


def test_one_that_consumes_slowly_has_not_stalled() -> None:
    """Its lag grows, but its offset moves."""
    watch = Watch()
    traffic = Traffic([100.0] * 6, [1.0] * 6)
    assert never_fails(watch.look(each) for each in traffic.every(10, 120))


def test_everybody_is_gone() -> None:
    """Where nobody needs to be there all the time, records that wait with nobody coming are `stopped`."""
    watch = Watch(min_consumers=0)
    traffic = Traffic([1.0] * 6, [10.0] * 6)
    for each in traffic.every(10, 60):
        watch.look(each)
    traffic.consume, traffic.consumers, traffic.state = [0.0] * 6, 0, "Empty"
    seen = [watch.look(each) for each in traffic.every(10, 60)]
    assert first_failure(seen) == 310.0
    assert seen[-1].reason == "stopped"


def test_a_batch_job_that_is_not_there_and_has_nothing_to_do() -> None:
    """That is what batch jobs are like."""
    assert never_fails(Watch(min_consumers=0).during(900, sight(consumers=0, state="Empty")))


def test_a_consumer_without_membership() -> None:
    """It commits and joins no group (Flink, Spark): with no minimum, its commits are what counts."""
    watch = Watch(min_consumers=0)
    traffic = Traffic([100.0] * 6, [100.0] * 6, commit_every=60, consumers=0, state="Empty")
    assert never_fails(watch.look(each) for each in traffic.every(10, 120))


def test_a_rebalance_storm() -> None:
    """Most looks see one, some do not: after as long as the window."""
    watch = Watch(rebalancing_after_seconds=300)
    watch.during(400, sight())
    seen = []
    for _ in range(20):
        seen += watch.during(20, sight(state="PreparingRebalance")) + watch.during(10, sight())
    assert 150 <= (first_failure(seen) or 0) <= 300  # when more than half of the last 300 s were of this sort
    assert seen[-1].reason == "rebalancing"
    assert not fails(watch.during(60, sight())[-1]), "over as soon as it has been quiet for a while"


def test_a_first_rebalance_that_does_not_end() -> None:
    """Within the grace it is only starting."""
    watch = Watch()
    seen = watch.during(400, sight(state="PreparingRebalance"))
    assert first_failure(seen) == 310.0
    assert {each.reason for each in seen[:29]} == {"starting"}
    assert seen[-1].reason == "rebalancing"


def test_a_partition_that_nobody_has() -> None:
    """A topic that nobody has anything of is another matter: the group may have left it."""
    watch = Watch()
    watch.during(400, sight())
    most = tuple(dataclasses.replace(m, assigned=m.assigned - {tp(3)}) for m in members(2))
    assert first_failure(watch.during(100, sight(members=most))) == 40.0
    other = sight(members=members(2, topic="payments"))
    assert not fails(Watch().during(600, other)[-1])


def test_an_offset_that_went_back() -> None:
    """A warning for a window."""
    watch = Watch()
    watch.during(400, sight())
    seen = watch.during(400, sight(committed=600, lags=[400] * 6))
    assert seen[0].status is Status.WARNING
    assert seen[0].message.startswith("Rewound: orders[5] went back by 400 messages (0s ago")
    assert sum(each.reason == "rewound" for each in seen) == 30


def test_a_topic_that_was_made_anew() -> None:
    """Its offsets begin at 0: nothing went back."""
    watch = Watch()
    watch.during(400, sight())
    anew = {tp(i): PartitionObservation(10, 10, 0) for i in range(6)}
    assert never_fails(watch.during(400, sight(partitions=anew)))


def test_limits_on_lag_and_on_the_time_to_drain() -> None:
    """Each on its own; both have to last."""
    slow = Traffic([100.0] * 6, [90.0] * 6)
    watch = Watch(max_lag=10_000)
    seen = [watch.look(each) for each in slow.every(10, 60)]
    assert first_failure(seen) == pytest.approx(10_000 / 60 + 30, abs=15)
    assert seen[-1].reason == "lag"

    slow = Traffic([100.0] * 6, [90.0] * 6)
    watch = Watch(max_drain_eta_seconds=20)
    seen = [watch.look(each) for each in slow.every(10, 60)]
    assert first_failure(seen) is not None
    assert seen[-1].reason == "drain_eta"
    assert seen[-1].data["drain_eta_seconds"] == pytest.approx(60 * 600 / 540, rel=0.1)


def test_a_threshold_that_cannot_be_passed() -> None:
    """max / mean is at most the number of partitions: it is said, and fails nothing."""
    seen = Watch(skew_threshold=4.0).during(600, sight([400, 0, 0, 0]))
    assert not any(each.reason == "skew" for each in seen)
    assert seen[-1].data["note"] == "the skew threshold of 4.0x cannot be exceeded: no topic has more than 4 partitions"
    assert "note" not in Watch().during(10, sight([400, 0, 0, 0, 0]))[-1].data


def test_several_findings() -> None:
    """The first is the reason, all are told, and by their codes too."""
    watch = Watch(min_consumers=2)
    watch.during(400, sight())
    last = watch.during(100, sight([400, 0, 0, 0, 0, 0], consumers=1))[-1]
    assert last.reason == "skew"
    assert last.message == (
        "Hot-key skew high: 6.00x (threshold: 4.0x, window: 5m); Under-replicated: 1 consumers (min: 2, window: 5m)"
    )
    assert last.data["findings"] == ["skew", "under_replicated"]


def test_numbers_that_are_public() -> None:
    """Of a group that was watched for a while: what the contract names."""
    watch = Watch()
    traffic = Traffic([100.0] * 6, [90.0] * 6)
    data = [watch.look(each) for each in traffic.every(10, 60)][-1].data
    assert data["lag"] == 36_000
    assert data["consume_rate"] == pytest.approx(540)
    assert data["produce_rate"] == pytest.approx(600)
    assert {name: data[name] for name in ("partitions", "unassigned_partitions", "consumers", "state")} == {
        "partitions": 6,
        "unassigned_partitions": 0,
        "consumers": 3,
        "state": "Stable",
    }
    assert data["skew_ratio"] == data["skew_ratio_max"] == 1.0
    assert (data["window_seconds"], data["skew_threshold"], data["min_consumers"]) == (300.0, 4.0, 1)


def latest(hot: int, committed: int, old: int = 200) -> dict[TopicPartition, PartitionObservation]:
    """Six partitions with old records, of which the group has committed in the first alone."""
    return {tp(i): PartitionObservation(hot if i == 0 else old, committed if i == 0 else None, 0) for i in range(6)}


def test_a_hot_key_where_only_its_partition_has_a_commit() -> None:
    """As librdkafka leaves it with `latest`: what is unknown is bounded by what is there."""
    watch = Watch(skew_threshold=4.0)
    seen = watch.during(60, sight(partitions=latest(2750, 1)))
    assert (seen[-1].reason, seen[-1].data["skew_ratio_max"]) == ("skew", 4.4)
    assert "5 partitions without a committed offset: lag unknown, at most 1000" in seen[-1].data["note"]


def test_more_old_records_than_new_ones_where_only_one_partition_has_a_commit() -> None:
    """The rule cannot tell: it is said how many partitions are unknown, and what that means for the threshold."""
    seen = Watch().during(60, sight(partitions=latest(2750, 1, old=100_000)))
    assert never_fails(seen)
    assert seen[-1].data["note"] == (
        "5 partitions without a committed offset: lag unknown, at most 500000; "
        "the skew threshold of 4.0x may be out of reach: no topic has more than 1 partition with a committed offset"
    )


def test_old_records_that_a_group_does_not_want() -> None:
    """It went on with nothing else to read, for a whole window, and left them alone: with `latest` they are no lag."""
    watch = Watch()
    for n in range(40):
        watch.look(sight(consumers=1, partitions=latest(100 + n, 100 + n, old=100_000)))
    hot = watch.during(60, sight(consumers=1, partitions=latest(2889, 139, old=100_000)))
    assert (hot[-1].reason, hot[-1].data["skew_ratio_max"]) == ("skew", 6.0)
    more = {**latest(2889, 139, old=100_000), tp(3): PartitionObservation(100_001, None, 0)}
    moved = watch.look(sight(consumers=1, partitions=more))
    assert moved.data["skew_ratio"] == 1.0, "the end of one has moved: that it is not wanted is not known any more"


def test_old_records_that_a_group_has_not_come_to() -> None:
    """With `earliest` it consumes one partition after the other: it is never skewed while it does."""
    watch = Watch(skew_threshold=1.5)
    for n in range(100):
        partitions = latest(10_000, 1000 + 50 * n, old=10_000)
        assert watch.look(sight(consumers=1, partitions=partitions)).data["skew_ratio"] == 1.0


def test_old_records_of_a_member_that_is_frozen() -> None:
    """Others of the group are well; that it has left its partitions alone says nothing."""
    watch = Watch()
    two = (
        GroupMember("m0", "", "", frozenset({tp(0)})),
        GroupMember("m1", "", "", frozenset(tp(i) for i in range(1, 6))),
    )
    for n in range(60):
        verdict = watch.look(sight(members=two, partitions=latest(100 + n, 100 + n, old=1000)))
    assert verdict.data["note"].startswith("5 partitions without a committed offset")
    hot = watch.look(sight(members=two, partitions=latest(1160, 160, old=1000)))
    assert hot.data["skew_ratio"] == 1.0


def test_retention_overtakes_the_hot_partition() -> None:
    """Its lag is all that is left in it; the lost records are a warning for a window after that."""
    watch = Watch(max_lag=500)
    hot = {**sight().partitions, tp(0): PartitionObservation(1000, 25, 0)}
    assert watch.during(60, sight(partitions=hot))[-1].reason == "skew"
    overtaken = {**hot, tp(0): PartitionObservation(1000, 25, 400)}
    last = watch.during(60, sight(partitions=overtaken))[-1]
    assert (last.data["lag"], last.data["skew_ratio"]) == (600, 6.0)
    assert last.data["findings"] == ["skew", "lag", "records_lost"]
    assert "Records lost: orders[0] lost 375 messages to retention (0s ago, window: 5m)" in last.message
    after = watch.during(700, sight())
    assert [each.reason for each in after][-2:] == [None, None]
    assert "records_lost" in after[28].data["findings"]


def test_the_end_of_a_transaction_is_no_loss() -> None:
    """Nobody commits it, and retention takes it."""
    gone = {tp(i): PartitionObservation(1001, 1000, 1001) for i in range(6)}
    assert never_fails(Watch().during(600, sight(partitions=gone)))


def test_aborted_records() -> None:
    """What was read once is remembered while the offset stands; what comes after it counts."""
    watch = Watch(stalled_after_seconds=60)
    read = {**sight().partitions, tp(0): PartitionObservation(1401, 1000, 0, next_record=1401)}
    stands = {**read, tp(0): PartitionObservation(1401, 1000, 0)}
    seen = [watch.look(sight(partitions=read)), *watch.during(600, sight(partitions=stands))]
    assert never_fails(seen)
    assert seen[-1].data["lag"] == 0
    more = {**read, tp(0): PartitionObservation(1801, 1000, 0)}
    assert watch.during(60, sight(partitions=more))[-1].data["lag"] == 400


STANDING = [
    ("a hot key", {0: (1401, 1000)}, {}, {0: 1000}),
    ("a hot key, at the first look", {0: (1401, 1000)}, None, {0: 1000}),
    ("a hot key that is consumed", {0: (1401, 1001)}, {}, {}),
    ("a little lag", {0: (1050, 1000)}, {}, {}),
    ("evenly", dict.fromkeys(range(6), (1401, 1000)), {}, {}),
    ("what was read already is not read again", {0: (1801, 1000, 1401)}, {}, {0: 1401}),
    ("all of it was read", {0: (1401, 1000, 1401)}, {}, {}),
    ("above the limit", {0: (1040, 1000), 1: (1030, 1000)}, {"max_lag": 60}, {0: 1000, 1: 1000}),
    ("for too long", {0: (1002, 1000)}, {"stalled_after_seconds": 5.0}, {0: 1000}),
    ("overtaken by retention", {0: (1401, 1000, None, 1300)}, {"skew_min_lag": 1}, {}),
]


@pytest.mark.parametrize(("caption", "now", "limits", "expected"), STANDING, ids=[row[0] for row in STANDING])
def test_what_is_looked_into(
    caption: str, now: dict[int, tuple[Any, ...]], limits: dict[str, Any] | None, expected: dict[int, int]
) -> None:
    """Partitions that stand and would fail the group; the most lag first."""
    watch = Watch(**(limits or {}))
    waiting = {tp(0): PartitionObservation(1002, 1000, 0)}
    watch.during(30, sight(partitions={**sight().partitions, **waiting}))
    changed = {tp(i): PartitionObservation(end, to, 0) for i, (end, to, *_) in now.items()}
    for i, (_, _, *more) in now.items():
        read, beginning = (*more, None, None)[:2]
        changed[tp(i)] = dataclasses.replace(changed[tp(i)], next_record=read, beginning=beginning or 0)
    memory = None if limits is None else watch.memory
    found = standing_partitions(
        sight(partitions={**sight().partitions, **changed}), memory, watch.now + 10, watch.limits
    )
    assert dict(found) == {tp(i): start for i, start in expected.items()}, caption


def test_the_age_of_what_waits() -> None:
    """Of the hottest partition: a number always, an error where there is a limit that was passed for long enough."""
    watch = Watch(max_lag_age_seconds=60.0, skew_threshold=None)
    behind = sight([5, 0, 0, 0, 0, 0], oldest=WaitingRecord(tp(0), NOW - 30))
    seen = watch.during(120, behind)
    assert [each.data["lag_seconds"] for each in seen[:3]] == [40.0, 50.0, 60.0]
    assert [each.reason for each in seen] == [None] * 6 + ["lag_age"] * 6
    assert watch.look(sight()).data["lag_seconds"] == 0.0
    assert "lag_seconds" not in watch.look(sight([5] * 6)).data, "nobody could tell"
    of_another = sight([5, 0, 0, 0, 0, 9], oldest=WaitingRecord(tp(0), NOW))
    assert "lag_seconds" not in watch.look(of_another).data, "it is not of the hottest partition"
    assert watch.look(sight([5] * 6, oldest=WaitingRecord(tp(5), NOW + 10_000))).data["lag_seconds"] == 0.0, (
        "another clock"
    )


def test_the_share_of_the_retention() -> None:
    """Lag of the hottest partition over the records that are there."""
    watch = Watch(max_retention_share=0.9, skew_threshold=None)
    seen = watch.during(60, sight([9500, 0, 0, 0, 0, 0], committed=500))
    assert [each.data["retention_share"] for each in seen] == [0.95] * 6
    assert [each.reason for each in seen] == [None] * 3 + ["retention_share"] * 3
    assert watch.look(sight()).data["retention_share"] == 0.0


def test_neither_age_nor_share_while_a_leader_is_away() -> None:
    """That nothing waits elsewhere says nothing of it."""
    away = sight(
        partitions={tp(0): PartitionObservation(None, 5, None, "leader"), tp(1): PartitionObservation(9, 9, 0)}
    )
    assert {"lag_seconds", "retention_share"}.isdisjoint(Watch().look(away).data)
