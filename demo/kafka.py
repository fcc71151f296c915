"""The shop's consumer groups at a moment: partitions, owners, lag and skew that add up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from demo.curves import wobble
from demo.shop import GROUPS, judged
from demo.story import BILLING, Story
from monitor.history.samples import RESPONSE_TIME
from monitor.model.checks import Outcome, Status
from monitor.model.consumer_groups import GroupMember, GroupObservation, PartitionObservation, TopicPartition
from monitor.policy.consumer_groups.lag import derive_lags

PARTITIONS = {BILLING: 8, GROUPS[1]: 6}
CONSUMERS = {BILLING: 4, GROUPS[1]: 2}
HOT = 5
SERIES = ("lag", "skew_ratio", "consume_rate", "produce_rate")
_DAWN = 1_700_000_000.0


def outcomes(story: Story, at: float) -> Mapping[str, tuple[Outcome, float]]:
    """Of every group, and the response time of the look at it in milliseconds, by check name."""
    return {name: _outcome(story, name, at) for name in GROUPS}


def sight(story: Story, name: str, at: float) -> GroupObservation:
    """What is seen of a group: the lag of its numbers, the most of it in one partition."""
    _, found = judged(story, name, at)
    count, consumers, group = PARTITIONS[name], CONSUMERS[name], name.rpartition(":")[2]
    hottest = min(found["skew_ratio"], count) / count
    weights = [1 + 0.12 * wobble(f"{story.seed}/{name}/{number}", at, 60) for number in range(count)]
    rest = sum(weights) - weights[HOT]
    shares = [hottest if number == HOT else (1 - hottest) * weights[number] / rest for number in range(count)]
    sent = (at - _DAWN) * 34 / count
    partitions = {}
    for number, share in enumerate(shares):
        end = int(sent * (0.93 + 0.02 * number))
        partitions[TopicPartition("orders", number)] = PartitionObservation(end, end - round(found["lag"] * share), 0)
    assigned = [frozenset(at for at in partitions if at.partition % consumers == place) for place in range(consumers)]
    members = tuple(
        GroupMember(f"{group}-{place}", f"{group}-{place + 1}", f"10.0.4.{21 + place}", some)
        for place, some in enumerate(assigned)
    )
    return GroupObservation(group, known=True, state="Stable", members=members, partitions=partitions)


def _outcome(story: Story, name: str, at: float) -> tuple[Outcome, float]:
    spell, found = judged(story, name, at)
    seen = sight(story, name, at)
    measured = derive_lags(seen, {}, 0)
    took = found.pop(RESPONSE_TIME)
    skew = measured.skew or 1.0
    data: dict[str, Any] = {
        **found,
        "lag": measured.total,
        "skew_ratio": skew,
        "skew_ratio_max": max(skew, 4.2) if spell else skew,
        "consumers": len(seen.members),
        "partitions": len(seen.partitions),
        "drain_eta_seconds": round(measured.total / max(found["consume_rate"], 1.0), 1),
        "hottest_partition": measured.hottest and f"{measured.hottest.topic}[{measured.hottest.partition}]",
        "skew_threshold": 4.0,
        "window_seconds": 300,
    }
    detail = {"partition_table": _table(seen, measured.partitions)}
    if spell is None:
        return Outcome(Status.OK, data, None, "System healthy", detail, series=SERIES), took
    message = f"Hot-key skew high: {data['skew_ratio_max']:.2f}x (threshold: 4.0x, window: 5m)"
    return Outcome(spell.status, data, spell.reason, message, detail, series=SERIES), took


def _table(seen: GroupObservation, found: Mapping[TopicPartition, Any]) -> list[dict[str, Any]]:
    owners = {at: member for member in seen.members for at in member.assigned}
    return [
        {
            "topic": at.topic,
            "partition": at.partition,
            "end": seen.partitions[at].end,
            "committed": seen.partitions[at].committed,
            "lag": found[at].lag,
            "client_id": owners[at].client_id,
            "host": owners[at].host,
        }
        for at in sorted(seen.partitions, key=lambda each: -(found[each].lag or 0))
    ]
