"""What tests do to a Kafka as its clients: make topics, produce, commit, and look up what is there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, UnknownBrokerIdError

from tests.support.processes import wait_for

Partition = tuple[str, int]


class KafkaClients:
    """The clients of a server or cluster whose addresses are known. All of them close what they open."""

    bootstrap: str
    client_options: Mapping[str, Any] = {}

    def options(self, **changes: Any) -> dict[str, Any]:
        """What a client of kafka-python needs to connect."""
        return {"bootstrap_servers": self.bootstrap, **self.client_options, **changes}

    @contextlib.contextmanager
    def admin(self, **changes: Any) -> Iterator[KafkaAdminClient]:
        """An admin client."""
        client = KafkaAdminClient(**self.options(**changes))
        try:
            yield client
        finally:
            client.close()

    @contextlib.contextmanager
    def consumer(self, group: str | None = None, **changes: Any) -> Iterator[KafkaConsumer]:
        """A consumer that has joined nothing and commits only when told to."""
        consumer = KafkaConsumer(**self.options(group_id=group, enable_auto_commit=False, **changes))
        try:
            yield consumer
        finally:
            consumer.close(autocommit=False)

    def create_topic(self, topic: str, partitions: int = 1, replicas: int = 1, **settings: str) -> None:
        """A topic, ready for use. ``settings`` are the topic's, with `_` for `.`."""
        self.create_topics({topic: partitions}, replicas=replicas, **settings)

    def create_topics(self, topics: Mapping[str, int], *, replicas: int = 1, **settings: str) -> None:
        """Topics by their number of partitions, in one request, ready for use."""
        configs = {name.replace("_", "."): value for name, value in settings.items()}
        new = {
            topic: {"num_partitions": partitions, "replication_factor": replicas, "configs": configs}
            for topic, partitions in topics.items()
        }
        wait_for(lambda: self._created(new), seconds=60, what=f"a controller for the topics {list(topics)}")

    def _created(self, topics: Mapping[str, Any]) -> bool:
        with self.admin() as admin:
            try:
                admin.create_topics(topics)
            except UnknownBrokerIdError:  # the controller has just come back, and the client does not know it yet
                return False
            admin.wait_for_topics(list(topics), timeout_ms=30_000)
        return True

    def add_partitions(self, topic: str, partitions: int) -> None:
        """Let a topic have so many partitions from now on; the brokers make them soon."""
        with self.admin() as admin:
            admin.create_partitions({topic: partitions})

    def delete_topic(self, topic: str) -> None:
        """Delete a topic; it is gone soon."""
        with self.admin() as admin:
            admin.delete_topics([topic])

    def produce(self, topic: str, count: int, *, partition: int | None = None, key: bytes | None = None) -> None:
        """Write ``count`` records, to one partition or by one key; by neither, to partitions at random."""
        producer = KafkaProducer(**self.options(linger_ms=5))
        try:
            sent = [producer.send(topic, b"record %d" % n, key=key, partition=partition) for n in range(count)]
            for each in sent:
                each.get(timeout=30)
        finally:
            producer.close()

    def commit(self, group: str, offsets: Mapping[Partition, int]) -> None:
        """Commit offsets for a group that has no members, as a tool does."""
        from kafka.structs import OffsetAndMetadata

        partitions = {TopicPartition(*each): OffsetAndMetadata(at, "", -1) for each, at in offsets.items()}
        with self.consumer(group) as consumer:
            consumer.assign(list(partitions))
            consumer.commit(partitions)

    def committed(self, group: str, topic: str) -> dict[int, int | None]:
        """The group's committed offset of every partition of a topic, None where there is none."""
        with self.consumer(group) as consumer:
            return {each: consumer.committed(TopicPartition(topic, each)) for each in _partitions(consumer, topic)}

    def end_offsets(self, topic: str) -> dict[int, int]:
        """The end of every partition of a topic."""
        with self.consumer() as consumer:
            ends = consumer.end_offsets([TopicPartition(topic, each) for each in _partitions(consumer, topic)])
            return {partition.partition: end for partition, end in ends.items()}

    def lag(self, group: str, topic: str) -> dict[int, int]:
        """End - committed of every partition that the group has committed."""
        ends = self.end_offsets(topic)
        return {each: ends[each] - at for each, at in self.committed(group, topic).items() if at is not None}

    def delete_group(self, group: str) -> None:
        """Delete a group that has no members. Not on 0.9."""
        with self.admin() as admin:
            failed = [each for each in admin.delete_groups([group]).items() if str(each[1]) not in {"OK", "None"}]
            assert not failed, failed

    def wait_for_coordinator(self, group: str = "anybody", *, seconds: float = 60) -> None:
        """Return when the group's coordinator answers: a fresh server first has to make the topic of offsets."""
        wait_for(lambda: self._knows(group), seconds=seconds, every=0.1, what=f"a coordinator for {group}")

    def _knows(self, group: str) -> bool:
        # A new client each time: one remembers a coordinator for ever.
        try:
            with self.admin(bootstrap_timeout_ms=5000, request_timeout_ms=5000) as admin:
                return group in admin.list_group_offsets([group])
        except KafkaError:
            return False


def _partitions(consumer: KafkaConsumer, topic: str) -> list[int]:
    found: set[int] = wait_for(lambda: consumer.partitions_for_topic(topic), seconds=30, what=f"topic {topic}")
    return sorted(found)
