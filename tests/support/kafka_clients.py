"""Client operations on a Kafka for tests: create topics, produce, commit, read offsets."""

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
    """Clients of a server or cluster with known addresses. Each operation closes what it opens."""

    bootstrap: str
    client_options: Mapping[str, Any] = {}

    def options(self, **changes: Any) -> dict[str, Any]:
        """Return the options with which a client of kafka-python connects."""
        return {"bootstrap_servers": self.bootstrap, **self.client_options, **changes}

    @contextlib.contextmanager
    def admin(self, **changes: Any) -> Iterator[KafkaAdminClient]:
        """Return an admin client."""
        client = KafkaAdminClient(**self.options(**changes))
        try:
            yield client
        finally:
            client.close()

    @contextlib.contextmanager
    def consumer(self, group: str | None = None, **changes: Any) -> Iterator[KafkaConsumer]:
        """Return a consumer that has joined no group and commits only explicitly."""
        consumer = KafkaConsumer(**self.options(group_id=group, enable_auto_commit=False, **changes))
        try:
            yield consumer
        finally:
            consumer.close(autocommit=False)

    def create_topic(self, topic: str, partitions: int = 1, replicas: int = 1, **settings: str) -> None:
        """Create a topic and wait until it is ready. ``settings`` are the topic's, with `_` for `.`."""
        self.create_topics({topic: partitions}, replicas=replicas, **settings)

    def create_topics(self, topics: Mapping[str, int], *, replicas: int = 1, **settings: str) -> None:
        """Create topics by their numbers of partitions in one request, and wait until they are ready."""
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
            except UnknownBrokerIdError:  # the controller has just restarted, and the client does not know it yet
                return False
            admin.wait_for_topics(list(topics), timeout_ms=30_000)
        return True

    def add_partitions(self, topic: str, partitions: int) -> None:
        """Increase the number of partitions of a topic. The brokers create them a little later."""
        with self.admin() as admin:
            admin.create_partitions({topic: partitions})

    def delete_topic(self, topic: str) -> None:
        """Delete a topic. It disappears a little later."""
        with self.admin() as admin:
            admin.delete_topics([topic])

    def produce(self, topic: str, count: int, *, partition: int | None = None, key: bytes | None = None) -> None:
        """Write ``count`` records to one partition or with one key; without either, to random partitions."""
        producer = KafkaProducer(**self.options(linger_ms=5))
        try:
            sent = [producer.send(topic, b"record %d" % n, key=key, partition=partition) for n in range(count)]
            for each in sent:
                each.get(timeout=30)
        finally:
            producer.close()

    def commit(self, group: str, offsets: Mapping[Partition, int]) -> None:
        """Commit offsets for a group without members, as a tool does."""
        from kafka.structs import OffsetAndMetadata

        partitions = {TopicPartition(*each): OffsetAndMetadata(at, "", -1) for each, at in offsets.items()}
        with self.consumer(group) as consumer:
            consumer.assign(list(partitions))
            consumer.commit(partitions)

    def committed(self, group: str, topic: str) -> dict[int, int | None]:
        """Return the group's committed offset of every partition of a topic, None without one."""
        with self.consumer(group) as consumer:
            return {each: consumer.committed(TopicPartition(topic, each)) for each in _partitions(consumer, topic)}

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Return the end offset of every partition of a topic."""
        with self.consumer() as consumer:
            ends = consumer.end_offsets([TopicPartition(topic, each) for each in _partitions(consumer, topic)])
            return {partition.partition: end for partition, end in ends.items()}

    def lag(self, group: str, topic: str) -> dict[int, int]:
        """Return the lag (end - committed) of every partition for which the group has committed."""
        ends = self.end_offsets(topic)
        return {each: ends[each] - at for each, at in self.committed(group, topic).items() if at is not None}

    def delete_group(self, group: str) -> None:
        """Delete a group without members. Not possible on 0.9."""
        with self.admin() as admin:
            failed = [each for each in admin.delete_groups([group]).items() if str(each[1]) not in {"OK", "None"}]
            assert not failed, failed

    def wait_for_coordinator(self, group: str = "anybody", *, seconds: float = 60) -> None:
        """Wait until the group's coordinator answers. A fresh server first creates the topic of offsets."""
        wait_for(lambda: self._knows(group), seconds=seconds, every=0.1, what=f"a coordinator for {group}")

    def _knows(self, group: str) -> bool:
        # A new client each time: a client caches its coordinator for ever.
        try:
            with self.admin(bootstrap_timeout_ms=5000, request_timeout_ms=5000) as admin:
                return group in admin.list_group_offsets([group])
        except KafkaError:
            return False


def _partitions(consumer: KafkaConsumer, topic: str) -> list[int]:
    found: set[int] = wait_for(lambda: consumer.partitions_for_topic(topic), seconds=30, what=f"topic {topic}")
    return sorted(found)
