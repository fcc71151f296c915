"""Tables of a group's partitions and of its members. Only authorised clients may see them."""

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
    """Return the tables ``partition_table`` (most lag first) and ``members``, cut to the size that a state may have.

    ``before`` are the offsets at the last run. ``moved_end`` and ``moved_committed`` are the differences from them.
    """
    owners = {tp: member for member in observation.members for tp in member.assigned}
    ends = {tp: mark.end for tp, mark in before.items() if mark.end is not None}
    partition_lags = derive_lags(observation, ends, 0).partitions
    ordered = sorted(observation.partitions, key=lambda tp: (-(partition_lags[tp].lag or 0), tp))
    rows = []
    for tp in ordered[:ROWS]:
        partition, lag, owner = observation.partitions[tp], partition_lags[tp], owners.get(tp)
        last = before.get(tp, PartitionMark(None, None))
        row = {
            "topic": tp.topic,
            "partition": tp.partition,
            "end": partition.end,
            "committed": partition.committed,
            "lag": lag.lag,
            "lag_at_most": lag.upper_bound,
            "client_id": _cut(owner.client_id) if owner else None,
            "host": _cut(owner.host) if owner else None,
            "moved_end": _moved(partition.end, last.end),
            "moved_committed": _moved(partition.committed, last.committed),
            "problem": partition.problem or lag.irregularity,
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
