"""Stands in for danielqsj/kafka_exporter: what it says of consumer groups, by its names. Run in the container.

As there, lag is told for every partition of every topic that a group has committed to, and is -1 where it has committed
nothing; a group without members is told of for as long as it has offsets.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec


def main() -> None:
    """Serve `/metrics` at port 9308; each scrape asks the brokers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kafka.server", dest="server", default="kafka:9092")
    Handler.server_address_of_kafka = parser.parse_known_args()[0].server
    ThreadingHTTPServer(("", 9308), Handler).serve_forever()


def samples(server: str) -> Iterator[str]:
    """The lines of one scrape."""
    admin = KafkaAdminClient(bootstrap_servers=server, request_timeout_ms=5000, bootstrap_timeout_ms=4000)
    try:
        topics = {
            topic["name"]: [partition["partition_index"] for partition in topic["partitions"]]
            for topic in admin.describe_topics()
            if not topic["name"].startswith("__")
        }
        everything = [TopicPartition(topic, number) for topic, numbers in topics.items() for number in numbers]
        ends = admin.list_partition_offsets(dict.fromkeys(everything, OffsetSpec.LATEST)) if everything else {}
        groups = [group["group_id"] for group in admin.list_groups()]
        described = admin.describe_groups(groups) if groups else {}
        committed = admin.list_group_offsets(groups) if groups else {}
    finally:
        admin.close()
    for partition, end in ends.items():
        labels = f'partition="{partition.partition}",topic="{partition.topic}"'
        yield f"kafka_topic_partition_current_offset{{{labels}}} {end.offset}"
    for group in groups:
        yield f'kafka_consumergroup_members{{consumergroup="{group}"}} {len(described[group]["members"])}'
        by_topic = defaultdict(dict)
        for partition, each in committed[group].items():
            by_topic[partition.topic][partition.partition] = each.offset
        for topic, offsets in by_topic.items():
            for number in topics.get(topic, ()):
                offset, end = offsets.get(number, -1), ends[TopicPartition(topic, number)].offset
                labels = f'consumergroup="{group}",partition="{number}",topic="{topic}"'
                yield f"kafka_consumergroup_current_offset{{{labels}}} {offset}"
                yield f"kafka_consumergroup_lag{{{labels}}} {-1 if offset < 0 else end - offset}"


class Handler(BaseHTTPRequestHandler):
    """One path, one answer."""

    server_address_of_kafka = ""

    def do_GET(self) -> None:
        """The metrics, or 503 when the brokers do not answer."""
        try:
            body, status = "\n".join([*samples(self.server_address_of_kafka), ""]).encode(), 200
        except Exception as error:  # noqa: BLE001
            body, status = f"{error!r}\n".encode(), 503
            self.log_error("%s", repr(error))
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Scrapes are not news."""


if __name__ == "__main__":
    main()
