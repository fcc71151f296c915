"""What one run comes to: one group or many, deleted ones, those that cannot be looked at, and no source at all."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from monitor.model.checks import Outcome, Status
from monitor.model.consumer_groups import GroupMember, GroupObservation, PartitionObservation, TopicPartition
from monitor.policy.consumer_groups.codec import decode
from monitor.policy.consumer_groups.limits import Limits
from monitor.policy.consumer_groups.measurement import Measurement, WindowedValue
from monitor.policy.consumer_groups.outcomes import GroupRound, WatchedGroups, held_outcome, judge_groups
from monitor.policy.consumer_groups.tables import detail_tables
from monitor.policy.states import GroupHold
from tests.support.builders import NOW
from tests.support.builders.consumer_groups import sight, tp

STATE_BYTES = 32_000
HOT = sight([400, 0, 0, 0, 0, 0])


class Check:
    """A check that runs every ten seconds."""

    def __init__(self, *groups: str, hold: GroupHold | None = None, **limits: Any) -> None:
        self.wanted = WatchedGroups(groups, Limits(**limits), hold)
        self.now = NOW
        self.memory: str | None = None

    def look(self, *seen: GroupObservation, after: float = 10.0) -> Outcome:
        return self._run(lambda current: [current.add_observation(each) for each in seen], after)

    def measure(self, after: float = 10.0, **measured: Measurement) -> Outcome:
        return self._run(lambda current: [current.add_measurement(*each) for each in measured.items()], after)

    def fail(self, reason: str = "refused", after: float = 10.0) -> Outcome:
        self.now += after
        return self._keep(held_outcome(self.wanted, decode(self.memory, self.now), self.now, reason, "10.0.0.1: no"))

    def _run(self, ask: Any, after: float) -> Outcome:
        self.now += after
        return self._keep(judge_groups(self.wanted, decode(self.memory, self.now), self.now, ask))

    def _keep(self, outcome: Outcome) -> Outcome:
        self.memory = outcome.memory or self.memory
        return outcome


def named(name: str, seen: GroupObservation | None = None, **fields: Any) -> GroupObservation:
    return dataclasses.replace(sight() if seen is None else seen, group=name, **fields)


def test_one_group_is_the_check() -> None:
    """It has no parts; its tables are its own."""
    outcome = Check("g").look(sight([5] * 6))
    assert outcome.status is Status.OK
    assert outcome.message == "System healthy"
    assert not outcome.children
    assert outcome.data["lag"] == 30
    assert len(outcome.detail["partition_table"]) == 6


def test_several_groups_are_parts_of_the_check() -> None:
    """Which says the worst of them, and their numbers together."""
    check = Check("orders", "mail", sustained_seconds=0)
    outcome = check.look(named("orders", HOT), named("mail", sight([7] * 6, consumers=3)))
    assert outcome.status is Status.ERROR
    assert outcome.reason == "skew"
    assert outcome.message == "1 of 2 groups: orders: Hot-key skew high: 6.00x (threshold: 4.0x, window: 5m)"
    numbers = {"groups": 2, "failing": 1, "lag": 442, "consumers": 5, "skew_ratio": 6.0, "skew_ratio_max": 6.0}
    assert numbers.items() <= outcome.data.items()
    assert {name: part.status for name, part in outcome.children.items() if part} == {
        "orders": Status.ERROR,
        "mail": Status.OK,
    }
    assert outcome.children["mail"] and outcome.children["mail"].data["lag"] == 42


def test_too_early_for_all_groups() -> None:
    """Then it is for the check; as soon as one is well, that counts."""
    check = Check("a", "b", min_consumers=2)
    starting = named("a", consumers_now(0))
    outcome = check.look(starting, named("b", consumers_now(1)))
    assert (outcome.status, outcome.reason, outcome.grace) == (Status.UNKNOWN, "starting", True)
    outcome = check.look(starting, named("b"))
    assert (outcome.status, outcome.grace) == (Status.OK, False)
    assert outcome.children["a"] and outcome.children["a"].grace


def consumers_now(count: int) -> GroupObservation:
    return sight(consumers=count)


def test_a_group_that_was_deleted() -> None:
    """It matched a pattern: a warning for a window, then it is forgotten."""
    check = Check("*")
    check.look(named("a"), named("b"))
    seen = [check.look(named("a")) for _ in range(31)]
    assert {(each.status, each.reason) for each in seen[:30]} == {(Status.WARNING, "gone")}
    assert seen[0].message == "1 of 2 groups: b: Gone: the group has been deleted (0s ago)"
    assert seen[30].status is Status.OK
    assert seen[30].children["b"] is None
    assert "b" not in check.look(named("a")).children


def test_a_group_that_was_deleted_and_comes_back() -> None:
    """Nothing is left of it."""
    check = Check("*")
    check.look(named("a"))
    check.look(GroupObservation("a", known=False))
    assert check.look(named("a")).status is Status.OK
    assert check.look().reason == "gone"


def test_a_group_that_is_not_watched_any_more() -> None:
    """The configuration has changed: it is forgotten at once."""
    check = Check("a", "b")
    check.look(named("a"), named("b"))
    check.wanted = WatchedGroups(("a",), Limits())
    assert check.look(named("a")).children == {"b": None}


def test_no_group_matches() -> None:
    """A check of nothing is not well; it may be too early to say."""
    check = Check("orders-*")
    seen = [check.look() for _ in range(31)]
    assert {(each.status, each.reason) for each in seen} == {(Status.UNKNOWN, "unknown_group")}
    assert [each.grace for each in seen] == [True] * 30 + [False]


def test_a_group_that_we_may_not_look_at() -> None:
    """An error of that group alone, which keeps what it remembers."""
    check = Check("a", "b")
    check.look(named("a"), named("b"))
    outcome = check.look(named("a"), GroupObservation("b", known=False, problem="authorization"))
    assert (outcome.status, outcome.reason) == (Status.ERROR, "authorization")
    assert decode(check.memory, check.now).groups["b"].observed_at == check.now - 10


def test_a_coordinator_that_moves() -> None:
    """For as long as anything has to last, it says nothing of the group."""
    check = Check("a")
    for _ in range(40):
        check.look(named("a"))
    moving = GroupObservation("a", known=False, problem="coordinator")
    seen = [check.look(moving) for _ in range(3)]
    assert [(each.status, each.grace) for each in seen] == [
        (Status.UNKNOWN, True),
        (Status.UNKNOWN, True),
        (Status.ERROR, False),
    ]
    assert check.look(named("a")).status is Status.OK


HOLD = GroupHold(300.0)
FOREVER = GroupHold(300.0, forever=True)


def test_a_verdict_is_kept_for_a_while() -> None:
    """With a note that names no host and the age of its numbers; then there is no data, and the check is unknown."""
    check = Check("g", hold=HOLD, sustained_seconds=0)
    assert check.look(HOT).status is Status.ERROR
    seen = [check.fail("timeout") for _ in range(31)]
    assert {(each.status, each.reason, each.held) for each in seen[:30]} == {(Status.ERROR, "skew", True)}
    assert seen[29].data["skew_ratio_max"] == 6.0
    assert seen[29].data["numbers_age_seconds"] == 300.0
    assert seen[29].data["note"] == "no answer from the source for 5m (timeout): the last verdict is kept"
    assert seen[29].detail == {"source": "10.0.0.1: no"}
    nothing(seen[30], "timeout", held=False)
    again = check.look(HOT)
    assert (again.status, again.reason, again.held) == (Status.ERROR, "skew", False)
    assert not {"note", "numbers_age_seconds"} & again.data.keys()


def nothing(outcome: Outcome, cause: str, *, held: bool) -> None:
    """Assert that nothing is known of a group, and that its body has no numbers."""
    assert (outcome.status, outcome.reason, outcome.held) == (Status.UNKNOWN, "no_data", held)
    assert outcome.message == f"No data from the source ({cause})"
    assert not outcome.grace
    assert not {"lag", "skew_ratio", "skew_ratio_max", "consumers", "consumers_min"} & outcome.data.keys()


@pytest.mark.parametrize("hold", [HOLD, FOREVER])
def test_before_the_first_number_there_is_no_data(hold: GroupHold) -> None:
    """From the first run on, whatever the grace; with `forever` it fails nothing."""
    check = Check("g", hold=hold)
    for _ in range(3):
        nothing(check.fail(), "refused", held=hold.forever)
    assert check.look(named("g")).status is Status.OK


def test_forever_keeps_no_number_for_longer_than_the_window() -> None:
    """A failure is not kept for ever, either: nobody knows of it any more."""
    check = Check("g", hold=FOREVER, sustained_seconds=0)
    check.look(HOT)
    assert {check.fail().status for _ in range(30)} == {Status.ERROR}
    for _ in range(300):
        nothing(check.fail(), "refused", held=True)


def test_verdicts_of_many_are_kept() -> None:
    """Of each group that is known, also where only a pattern is configured."""
    check = Check("a", "b-*", hold=HOLD, sustained_seconds=0)
    assert check.fail().reason == "no_data"
    check.look(named("a"), named("b-1", HOT))
    outcome = check.fail()
    assert (outcome.status, outcome.reason, outcome.held) == (Status.ERROR, "skew", True)
    assert {name: part.status for name, part in outcome.children.items() if part} == {
        "a": Status.OK,
        "b-1": Status.ERROR,
    }
    assert all("note" in part.data and part.held for part in outcome.children.values() if part)
    later = check.fail(after=300)
    assert (later.status, later.reason, later.data["failing"]) == (Status.UNKNOWN, "no_data", 2)
    assert later.message == "2 of 2 groups: a: No data from the source (refused)"
    assert not {"lag", "consumers", "skew_ratio"} & later.data.keys()


def test_no_group_is_known_and_the_source_does_not_answer() -> None:
    """A check of patterns only, from the start: no data."""
    for hold in (HOLD, FOREVER):
        outcome = Check("b-*", hold=hold).fail()
        nothing(outcome, "refused", held=hold.forever)
        assert outcome.data["groups"] == 0


WELL = Measurement(skew=WindowedValue(None, 1.5, 1.5), consumers=WindowedValue(None, 2, 2))


def test_what_somebody_else_measured() -> None:
    """The same rules, the same words."""
    check = Check("g", hold=HOLD, min_consumers=2)
    assert check.measure(g=WELL).status is Status.OK
    outcome = check.measure(g=dataclasses.replace(WELL, skew=WindowedValue(None, 5.2, 5.2)))
    assert outcome.message == "Hot-key skew high: 5.20x (threshold: 4.0x, window: 5m)"
    assert (outcome.data["skew_ratio"], outcome.data["consumers_min"]) == (5.2, 2)


def test_few_consumers_within_the_grace() -> None:
    """As with our own looks."""
    check = Check("g", hold=HOLD, min_consumers=2)
    few = dataclasses.replace(WELL, consumers=WindowedValue(None, 1, 1))
    seen = [check.measure(g=few) for _ in range(40)]
    assert [each.reason for each in seen] == ["starting"] * 30 + ["under_replicated"] * 10
    assert seen[0].grace


GAP = {"skew": "no series kafka:group_skew_ratio"}
HALF = dataclasses.replace(WELL, skew=WindowedValue(), missing=GAP)
NOTHING = Measurement(missing={**GAP, "consumers": "no series kafka:group_consumer_count"})


def test_a_number_that_prometheus_does_not_have_any_more() -> None:
    """Its last value is kept for a while, and the other one is judged; then there is no data."""
    check = Check("g", hold=HOLD, min_consumers=2)
    check.measure(g=dataclasses.replace(WELL, skew=WindowedValue(None, 5.2, 5.2)))
    seen = [check.measure(g=HALF) for _ in range(31)]
    assert {(each.reason, each.held) for each in seen[:30]} == {("skew", True)}
    assert seen[29].data["note"] == "no series kafka:group_skew_ratio (for: 290s, the last value is kept)"
    assert seen[29].data["numbers_age_seconds"] == 300.0
    assert (seen[30].status, seen[30].reason) == (Status.UNKNOWN, "no_data")
    assert seen[30].data["consumers_min"] == 2
    assert "skew_ratio_max" not in seen[30].data
    fewer = check.measure(g=dataclasses.replace(HALF, consumers=WindowedValue(None, 1, 1)))
    assert (fewer.status, fewer.data["findings"]) == (Status.ERROR, ["under_replicated"])
    assert "note" not in check.measure(g=WELL).data


@pytest.mark.parametrize("hold", [HOLD, FOREVER])
def test_a_number_that_prometheus_never_had(hold: GroupHold) -> None:
    """No data from the start, said with what is missing; what the other number shows to fail fails all the same."""
    check = Check("g", hold=hold, min_consumers=2)
    outcome = check.measure(g=HALF)
    assert (outcome.status, outcome.reason, outcome.held) == (Status.UNKNOWN, "no_data", hold.forever)
    assert outcome.message == "No data from the source (missing)"
    assert outcome.data["note"] == "no series kafka:group_skew_ratio"
    assert outcome.data["consumers_min"] == 2
    check.measure(g=NOTHING, after=400)
    few = check.measure(g=dataclasses.replace(HALF, consumers=WindowedValue(None, 1, 1)))
    assert (few.status, few.reason) == (Status.ERROR, "under_replicated")
    assert Check("g", hold=hold, skew_threshold=None).measure(g=HALF).status is Status.OK, "nobody needs it"


def test_numbers_that_prometheus_has_recorded_a_while_ago() -> None:
    """A window has numbers for as long as it is after the last of them: their age is told, and bounds the hold."""
    check = Check("g", hold=GroupHold(100.0), min_consumers=2)
    for age, kept in ((0.0, False), (30.0, False), (61.0, True), (100.0, True)):
        outcome = check.measure(g=dataclasses.replace(WELL, age_seconds=age))
        assert (outcome.status, outcome.held) == (Status.OK, kept)
        assert outcome.data.get("numbers_age_seconds", 0.0) == age
    assert outcome.data["note"] == "the newest numbers are 100s old: the last verdict is kept"
    nothing(check.measure(g=dataclasses.replace(WELL, age_seconds=101.0)), "missing", held=False)


def test_the_age_of_numbers_goes_on_when_the_source_goes_away() -> None:
    """Numbers that were 200 s old when Prometheus was last heard are kept for 100 s more."""
    check = Check("g", hold=HOLD, min_consumers=2)
    check.measure(g=dataclasses.replace(WELL, age_seconds=200.0))
    kept = [check.fail() for _ in range(11)]
    assert [each.data.get("numbers_age_seconds") for each in kept[:10]] == [210.0 + 10 * n for n in range(10)]
    nothing(kept[10], "refused", held=False)


@pytest.mark.parametrize(("limits", "status"), [({}, Status.ERROR), ({"skew_threshold": None}, Status.OK)])
def test_a_rule_that_prometheus_does_not_have_fails_where_that_is_wanted(limits: Any, status: Status) -> None:
    """Unless nobody needs it."""
    gap = dataclasses.replace(WELL, skew=WindowedValue(), missing={"skew": "no series"})
    assert Check("g", **limits).measure(g=gap).status is status


def test_tables_fit_into_a_state() -> None:
    """However many partitions and however long the names: the most lag first."""
    topic = "t" * 249
    partitions = {TopicPartition(topic, i): PartitionObservation(10**15 + i, 10**14, 0) for i in range(5000)}
    many = tuple(
        GroupMember("m" * 300, "c" * 5000, "h" * 300, frozenset({TopicPartition(topic, i)})) for i in range(5000)
    )
    found = detail_tables(GroupObservation("g", known=True, members=many, partitions=partitions), {})
    assert len(json.dumps(found)) < STATE_BYTES - 8_000
    assert found["partition_table"][0]["partition"] == 4999
    assert len(found["partition_table"]) >= 20


def test_a_row_of_the_table() -> None:
    """Where a partition is, who has it, and how it moved since the last look."""
    check = Check("g")
    check.look(sight([0] * 6))
    row = check.look(sight([50] + [0] * 5, committed=1010)).detail["partition_table"][0]
    assert row == {
        "topic": "orders",
        "partition": 0,
        "end": 1060,
        "committed": 1010,
        "lag": 50,
        "client_id": "client-0",
        "host": "10.0.0.1",
        "moved_end": 60,
        "moved_committed": 10,
    }


def test_a_round_is_told_of_each_group_once() -> None:
    """What is remembered of it is then the newest."""
    check = Check("g")
    check.look(sight())
    current = GroupRound(check.wanted, decode(check.memory, check.now + 10), check.now + 10)
    current.add_observation(sight([1] * 6))
    assert current.memories["g"].partitions[tp(0)].end == 1001


def test_topics_that_nothing_matches() -> None:
    """A misspelt name is never healthy: too early to say within the grace, then unknown; an error still wins."""
    check = Check("g", max_lag=1000)
    seen = [check.look(sight(unmatched=("ordres",))) for _ in range(31)]
    assert {(each.status, each.reason) for each in seen} == {(Status.UNKNOWN, "unknown_topic")}
    assert [each.grace for each in seen] == [True] * 30 + [False]
    assert seen[0].message == "Unknown topic: nothing that is consumed matches ordres"
    behind = [check.look(sight([500] * 6, unmatched=("ordres",))) for _ in range(4)][-1]
    assert (behind.status, behind.reason, behind.grace) == (Status.ERROR, "lag", False)
    assert behind.data["findings"] == ["lag", "unknown_topic"]
    assert check.look(sight()).status is Status.OK


def test_topics_that_nothing_matches_any_more() -> None:
    """A group that was known may change what it consumes: that has to last."""
    check = Check("g", start_grace_seconds=0)
    check.look(sight())
    seen = [check.look(sight(unmatched=("orders",))) for _ in range(4)]
    assert [(each.reason, each.grace) for each in seen] == [("unknown_topic", True)] * 3 + [("unknown_topic", False)]


@pytest.mark.parametrize(("status", "hot"), [(Status.UNKNOWN, False), (Status.ERROR, True)])
def test_topics_that_nothing_matches_of_several_groups(status: Status, hot: bool) -> None:
    """It is said of the check, unless that says worse; each group is judged by what it has."""
    check = Check("a", "b", sustained_seconds=0, start_grace_seconds=0)

    def ask(current: GroupRound) -> None:
        current.unmatched = ("ordres",)
        current.add_observation(named("a", HOT if hot else None))
        current.add_observation(named("b"))

    outcome = check._run(ask, 10.0)
    assert (outcome.status, outcome.grace) == (status, False)
    assert outcome.reason == ("skew" if hot else "unknown_topic")
    assert outcome.children["b"] and outcome.children["b"].status is Status.OK


@pytest.mark.parametrize("hold", [False, True])
def test_a_share_group(hold: bool) -> None:
    """Not known, and it will not pass: no last verdict is kept."""
    outcome = Check("g", hold=hold).look(GroupObservation("g", known=False, problem="share_group"))
    assert (outcome.status, outcome.reason, outcome.grace) == (Status.UNKNOWN, "share_group", False)
    assert "KIP-932" in str(outcome.message)


def test_brokers_that_were_not_reached_are_named() -> None:
    """To those who may know addresses: in the message and the detail, and never in the data."""
    where = ("kafka-2.internal:9092 (name_resolution)",)
    check = Check("g", sustained_seconds=0)
    lost = check.look(GroupObservation("g", known=False, problem="coordinator", unreached=where))
    assert (lost.status, lost.reason) == (Status.ERROR, "coordinator")
    assert where[0] in str(lost.message)
    partly = check.look(sight(unreached=where))
    for outcome in (lost, partly):
        assert outcome.detail["unreached"] == [*where]
        assert "internal" not in json.dumps(outcome.data)
    assert "partition_table" in partly.detail


def test_partitions_that_nobody_reads_are_a_note() -> None:
    """Consumers that use `assign()` are no members: one of the partitions may have been given to none of them."""
    alone = sight(consumers=0, state="Empty", unread=(tp(6), tp(7)))
    outcome = Check("g", min_consumers=0).look(alone)
    assert (outcome.status, outcome.message) == (Status.OK, "System healthy")
    assert "2 partitions that no member reads, such as orders[6]" in outcome.data["note"]


def test_a_part_names_its_group() -> None:
    """The name of its check may be another one."""
    outcome = Check("grüße", "b").look(named("grüße"), named("b"))
    assert {name: part.detail["group"] for name, part in outcome.children.items() if part} == {
        "grüße": "grüße",
        "b": "b",
    }
