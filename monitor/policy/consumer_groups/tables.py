"""Tables of a group's partitions and members, for authorised clients only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from monitor.model.consumer_groups import GroupObservation, TopicPartition
from monitor.policy.consumer_groups.lag import derive_lags
from monitor.policy.consumer_groups.memory import PartitionMark

ROWS = 50
TEXT_CHARACTERS = 120
PARTITION_TABLE_BYTES = 16_000
MEMBERS_BYTES = 6_000


def detail_tables(
    observation: GroupObservation, before: Mapping[TopicPartition, PartitionMark]
) -> dict[str, list[dict[str, Any]]]:
    """Return ``partition_table``, most lag first, and ``members``: as many rows of each as fit into a state.

    ``before`` are the positions at the last observation; ``moved_*`` is the difference from them.
    """
    owners = {at: member for member in observation.members for at in member.assigned}
    ends = {at: mark.end for at, mark in before.items() if mark.end is not None}
    found = derive_lags(observation, ends, 0).partitions
    order = sorted(observation.partitions, key=lambda at: (-(found[at].lag or 0), at))
    rows = []
    for at in order[:ROWS]:
        partition, lag, owner = observation.partitions[at], found[at], owners.get(at)
        last = before.get(at, PartitionMark(None, None))
        row = {
            "topic": at.topic,
            "partition": at.partition,
            "end": partition.end,
            "committed": partition.committed,
            "lag": lag.lag,
            "lag_at_most": lag.at_most,
            "client_id": _cut(owner.client_id) if owner else None,
            "host": _cut(owner.host) if owner else None,
            "moved_end": _moved(partition.end, last.end),
            "moved_committed": _moved(partition.committed, last.committed),
            "problem": partition.problem or lag.unclean,
        }
        rows.append({name: value for name, value in row.items() if value is not None})
    members = [
        {"client_id": _cut(member.client_id), "host": _cut(member.host), "partitions": len(member.assigned)}
        for member in observation.members[:ROWS]
    ]
    return {"partition_table": _fitting(rows, PARTITION_TABLE_BYTES), "members": _fitting(members, MEMBERS_BYTES)}


def _moved(now: int | None, before: int | None) -> int | None:
    return None if now is None or before is None else now - before


def _cut(text: str) -> str:
    return text[:TEXT_CHARACTERS]


def _fitting(rows: list[dict[str, Any]], size_bytes: int) -> list[dict[str, Any]]:
    while len(json.dumps(rows)) > size_bytes:
        rows = rows[: len(rows) * 9 // 10]
    return rows
