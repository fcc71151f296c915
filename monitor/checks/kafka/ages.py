"""Search for the timestamps of records at known offsets, by bisection with ListOffsets requests.

ListOffsets returns the offset and timestamp of the first record that is not older than a requested time. If that offset
is higher than the known one, the record at the known offset is older than the requested time. No record is read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kafka.errors import KafkaError
from kafka.protocol.consumer import ListOffsetsRequest

from monitor.checks.kafka.client import ClusterClient, Node
from monitor.checks.kafka.offsets import TopicLayout
from monitor.model.consumer_groups import TopicPartition

REQUESTS = 10  # maximum for each broker; the requests for ends and beginnings are two more
PARTITIONS = 100  # maximum in total: a broker may have to read one file for each partition
# Errors of a timestamp, as a share of the age and absolute. The larger one of each pair counts.
EXACT_SHARE, EXACT_MILLISECONDS = 0.02, 250.0  # below this error the search ends
GOOD_SHARE, GOOD_MILLISECONDS = 0.2, 2000.0  # above this error the result is discarded
_NONE = -1

Record = tuple[TopicPartition, int]


@dataclass(slots=True)
class TimestampSearch:
    """Search for the timestamp of the first record at or after ``offset``.

    The timestamp is later than ``low`` and not later than ``high``. ``exact`` is the exact timestamp, None until a
    response contains it. Times are milliseconds since the Unix epoch.
    """

    offset: int
    now: float
    high: float
    low: float | None = None
    exact: float | None = None
    given_up: bool = False

    @property
    def next_time(self) -> int | None:
        """Return the time for the next request, or None if the search has ended.

        The first time is 0, for which the broker returns the oldest record. Each later time bisects the age.
        """
        if self.exact is not None or self.given_up:
            return None
        if self.low is None:
            return 0
        oldest, youngest = self.now - self.low, max(self.now - self.high, EXACT_MILLISECONDS)
        if self.high - self.low <= max(EXACT_MILLISECONDS, EXACT_SHARE * oldest):
            return None
        middle = self.now - (oldest * youngest) ** 0.5
        return int(middle if self.low < int(middle) < self.high else (self.low + self.high) / 2)

    def learn(self, requested: int, offset: int, time: float) -> None:
        """Use a response: the first record that is not older than ``requested`` has this offset and this timestamp."""
        if self.exact is not None:
            return  # the response belongs to another search in the same partition
        if offset == self.offset or (self.low is None and offset > self.offset):
            self.exact = time
        elif offset == _NONE and self.low is None:
            self.given_up = True  # no record has a timestamp
        elif offset == _NONE or offset > self.offset:
            self.high = min(self.high, requested)
        else:
            self.low = max(self.low or 0.0, requested, min(time, self.high))

    @property
    def time(self) -> float | None:
        """Return the timestamp, or its upper bound; None if the bounds are too far apart."""
        if self.exact is not None or self.low is None or self.given_up:
            return self.exact
        is_good = self.high - self.low <= max(GOOD_MILLISECONDS, GOOD_SHARE * (self.now - self.low))
        return self.high if is_good else None


async def read_times(
    client: ClusterClient, records: Iterable[Record], topics: TopicLayout, now: float, until: float
) -> Mapping[Record, float]:
    """Return the timestamps of records, in seconds since the Unix epoch. Records without a result are absent.

    ``now``, in the same unit, is the upper bound of all timestamps.
    """
    searches: defaultdict[TopicPartition, dict[int, TimestampSearch]] = defaultdict(dict)
    for partition, offset in records:
        if partition in searches or len(searches) < PARTITIONS:
            searches[partition][offset] = TimestampSearch(offset, now * 1000, now * 1000)
    for _ in range(REQUESTS):
        by_leader: defaultdict[Node, dict[TopicPartition, int]] = defaultdict(dict)
        for partition, by_offset in searches.items():
            node, _problem = topics.leader(partition)
            time = next((s.next_time for s in by_offset.values() if s.next_time is not None), None)
            if node is not None and time is not None:
                by_leader[node][partition] = time
        if not by_leader:
            break
        answers = await client.gather(
            _read_first_records(client, node, requested, until) for node, requested in by_leader.items()
        )
        for requested, answer in zip(by_leader.values(), answers, strict=True):
            for partition, time in requested.items():
                for search in searches[partition].values():
                    if partition in answer:
                        search.learn(time, *answer[partition])
                    else:
                        search.given_up = True
    found = {(partition, s.offset): s.time for partition, by_offset in searches.items() for s in by_offset.values()}
    return {record: time / 1000 for record, time in found.items() if time is not None}


async def _read_first_records(
    client: ClusterClient, node: Node, requested: Mapping[TopicPartition, int], until: float
) -> dict[TopicPartition, tuple[int, float]]:
    """Return, for each partition, offset and timestamp of its first record that is not older than the requested time.

    Partitions for which the broker returns an error are absent.
    """
    rows: defaultdict[str, list[Any]] = defaultdict(list)
    for (topic, number), time in requested.items():
        rows[topic].append(ListOffsetsRequest.ListOffsetsTopic.ListOffsetsPartition(number, timestamp=time))
    try:
        if ((await client.versions(node, until))(ListOffsetsRequest) or 0) < 1:
            return {}  # before 0.10.1, brokers cannot search by timestamp
        request = ListOffsetsRequest(
            isolation_level=0,
            topics=[
                ListOffsetsRequest.ListOffsetsTopic(name=topic, partitions=requests) for topic, requests in rows.items()
            ],
            min_version=1,
            max_version=9,
        )
        answer = await client.send(node, request, until)
    except KafkaError:
        return {}
    return {
        TopicPartition(topic.name, row.partition_index): (row.offset, row.timestamp)
        for topic in answer.topics
        for row in topic.partitions
        if not row.error_code
    }
