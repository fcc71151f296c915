"""Search for committed records behind an offset: aborted records and the markers of transactions do not count.

Only the heads of batches are read. Format: record batches of version 2 (KIP-98), and the older message sets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from kafka.errors import KafkaError
from kafka.protocol.consumer import FetchRequest

from monitor.checks.kafka.client import ClusterClient, Node
from monitor.checks.kafka.offsets import TopicLayout
from monitor.model.consumer_groups import TopicPartition

READ_COMMITTED = 1
WITH_TRANSACTIONS = 4  # first version of Fetch with transactions (Kafka 0.11); before it, all records are committed
NEWEST = 12  # last version of Fetch that identifies topics by name
FIRST_BYTES, MORE_BYTES = 4_096, 1_048_576  # usually one batch is enough
REQUESTS = 8
"""Maximum for a partition in one run. The position is stored, and the next run continues from there."""

_HEAD = struct.Struct(">qiibIhiqqqhii")
_HEAD_TO_MAGIC = struct.Struct(">qiib")
_LENGTH_STARTS = 12  # the length does not include the fields offset and length
_TRANSACTIONAL, _CONTROL = 0x10, 0x20


class RecordBatch(NamedTuple):
    """Head of a batch of records.

    ``producer`` is that of the batch's transaction, if any. ``is_marker`` is True for a marker that ends one.
    """

    first: int
    last: int
    records: int
    producer: int | None = None
    is_marker: bool = False


async def next_records(
    client: ClusterClient, starts: Mapping[TopicPartition, int], topics: TopicLayout, until: float
) -> dict[TopicPartition, int]:
    """Return an offset for each partition that could be read, before which no committed record lies from the start on.

    It is the offset of the next committed record, or the end of the records that were read. It is never beyond the
    first open transaction.
    """
    found = await client.gather(_next_record(client, at, start, topics, until) for at, start in starts.items())
    return {at: offset for at, offset in zip(starts, found, strict=True) if offset is not None}


def batches(data: bytes) -> Iterator[RecordBatch]:
    """Yield the heads of the complete batches."""
    start = 0
    while start + _HEAD_TO_MAGIC.size <= len(data):
        first, length, _, magic = _HEAD_TO_MAGIC.unpack_from(data, start)
        end = start + _LENGTH_STARTS + length
        if length <= 0 or end > len(data):
            return
        if magic < 2:
            yield RecordBatch(first, first, 1)
        elif length + _LENGTH_STARTS >= _HEAD.size:
            head = _HEAD.unpack_from(data, start)
            attributes, last_delta, producer, count = head[5], head[6], head[9], head[12]
            in_transaction = attributes & _TRANSACTIONAL
            is_marker = bool(attributes & _CONTROL)
            yield RecordBatch(first, first + last_delta, count, producer if in_transaction else None, is_marker)
        start = end


def first_committed(found: Iterable[RecordBatch], aborted: Iterable[tuple[int, int]], start: int) -> tuple[int, bool]:
    """Return the offset of the first committed record and True, or the end of the batches and False.

    ``aborted`` are the aborted transactions in these batches: producer and first offset.
    """
    waiting, running, position = sorted(aborted, key=lambda each: each[1]), set[int](), start
    for batch in found:
        while waiting and waiting[0][1] <= batch.last:
            running.add(waiting.pop(0)[0])
        if batch.is_marker:
            running.discard(batch.producer if batch.producer is not None else -1)
        elif batch.last >= start and batch.records and batch.producer not in running:
            return max(batch.first, start), True
        position = max(position, batch.last + 1)
    return position, False


async def _next_record(
    client: ClusterClient, at: TopicPartition, start: int, topics: TopicLayout, until: float
) -> int | None:
    node, _ = topics.leader(at)
    if node is None:
        return None
    position, size = start, FIRST_BYTES
    try:
        versions = await client.versions(node, until)
        if (versions(FetchRequest) or 0) < WITH_TRANSACTIONS:
            return None
        for _ in range(REQUESTS):
            row = await _fetch(client, node, at, position, size, until=until)
            if row is None or row.error_code:
                break
            aborted = [(each.producer_id, each.first_offset) for each in row.aborted_transactions or ()]
            before = position
            position, is_found = first_committed(batches(bytes(row.records or b"")), aborted, position)
            if is_found or position == before or position >= row.last_stable_offset:
                break
            size = MORE_BYTES
    except KafkaError:
        pass  # the position after the successful requests is valid
    return position if position > start else None


async def _fetch(client: ClusterClient, node: Node, at: TopicPartition, offset: int, size: int, *, until: float) -> Any:
    partition = FetchRequest.FetchTopic.FetchPartition(
        partition=at.partition, fetch_offset=offset, partition_max_bytes=size
    )
    request = FetchRequest(
        max_wait_ms=0,
        min_bytes=0,
        max_bytes=size,
        isolation_level=READ_COMMITTED,
        topics=[FetchRequest.FetchTopic(topic=at.topic, partitions=[partition])],
        min_version=WITH_TRANSACTIONS,
        max_version=NEWEST,
    )
    answer = await client.send(node, request, until)
    return next((row for topic in answer.responses for row in topic.partitions), None)
