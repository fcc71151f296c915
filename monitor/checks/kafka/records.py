"""Search for the first committed record after an offset. Skips aborted records and the markers of transactions.

Only the heads of batches are read. Formats: record batches of version 2 (KIP-98), and the older message sets.
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
WITH_TRANSACTIONS = 4  # first version of Fetch with transactions (Kafka 0.11); older brokers have none
NEWEST = 12  # last version of Fetch that identifies topics by name
FIRST_BYTES, MORE_BYTES = 4_096, 1_048_576  # size of the first and of each later response
REQUESTS = 8
"""Maximum number of requests for a partition in one run. The next run of the check continues at the last position."""

_HEAD = struct.Struct(">qiibIhiqqqhii")
_HEAD_TO_MAGIC = struct.Struct(">qiib")
_LENGTH_STARTS = 12  # size of the fields offset and length, which the length does not include
_TRANSACTIONAL, _CONTROL = 0x10, 0x20


class RecordBatch(NamedTuple):
    """Head of a batch of records.

    ``first`` and ``last`` are offsets; ``records`` is the number of records. ``producer`` is the id of the producer if
    the batch belongs to a transaction, else None. ``is_marker`` is True for a batch that ends a transaction.
    """

    first: int
    last: int
    records: int
    producer: int | None = None
    is_marker: bool = False


async def next_records(
    client: ClusterClient, starts: Mapping[TopicPartition, int], topics: TopicLayout, until: float
) -> dict[TopicPartition, int]:
    """Return, for each partition, the offset of the next committed record at or after its start offset.

    If the records that were read contain no committed record, the offset is the end of these records. The offset is
    never beyond the first open transaction. Partitions are absent if they could not be read, or if the offset is the
    start offset.
    """
    offsets = await client.gather(
        _next_record(client, partition, start, topics, until) for partition, start in starts.items()
    )
    return {partition: offset for partition, offset in zip(starts, offsets, strict=True) if offset is not None}


def batches(data: bytes) -> Iterator[RecordBatch]:
    """Yield the heads of the batches in ``data``. An incomplete batch at the end is ignored."""
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


def first_committed(heads: Iterable[RecordBatch], aborted: Iterable[tuple[int, int]], start: int) -> tuple[int, bool]:
    """Return the offset of the first committed record and True, or the end of the batches and False.

    ``aborted`` are the aborted transactions in these batches, each as producer and first offset.
    """
    pending, aborting, position = sorted(aborted, key=lambda transaction: transaction[1]), set[int](), start
    for batch in heads:
        while pending and pending[0][1] <= batch.last:
            aborting.add(pending.pop(0)[0])
        if batch.is_marker:
            aborting.discard(batch.producer if batch.producer is not None else -1)
        elif batch.last >= start and batch.records and batch.producer not in aborting:
            return max(batch.first, start), True
        position = max(position, batch.last + 1)
    return position, False


async def _next_record(
    client: ClusterClient, partition: TopicPartition, start: int, topics: TopicLayout, until: float
) -> int | None:
    node, _ = topics.leader(partition)
    if node is None:
        return None
    position, size = start, FIRST_BYTES
    try:
        versions = await client.versions(node, until)
        if (versions(FetchRequest) or 0) < WITH_TRANSACTIONS:
            return None
        for _ in range(REQUESTS):
            row = await _fetch(client, node, partition, position, size, until=until)
            if row is None or row.error_code:
                break
            aborted = [(entry.producer_id, entry.first_offset) for entry in row.aborted_transactions or ()]
            last_position = position
            position, is_found = first_committed(batches(bytes(row.records or b"")), aborted, position)
            if is_found or position == last_position or position >= row.last_stable_offset:
                break
            size = MORE_BYTES
    except KafkaError:
        pass  # the position that the successful requests have reached is valid
    return position if position > start else None


async def _fetch(
    client: ClusterClient, node: Node, partition: TopicPartition, offset: int, size: int, *, until: float
) -> Any:
    row = FetchRequest.FetchTopic.FetchPartition(
        partition=partition.partition, fetch_offset=offset, partition_max_bytes=size
    )
    request = FetchRequest(
        max_wait_ms=0,
        min_bytes=0,
        max_bytes=size,
        isolation_level=READ_COMMITTED,
        topics=[FetchRequest.FetchTopic(topic=partition.topic, partitions=[row])],
        min_version=WITH_TRANSACTIONS,
        max_version=NEWEST,
    )
    answer = await client.send(node, request, until)
    return next((row for topic in answer.responses for row in topic.partitions), None)
