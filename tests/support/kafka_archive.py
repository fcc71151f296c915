"""Archive of classes for a faster start of Kafka: `python -m tests.support.kafka_archive`, which `make test` runs."""

from __future__ import annotations

import os

import pytest

from tests.support.kafka_server import ARCHIVE, KafkaServer


def main() -> None:
    """Let a node work a little, and write its classes to the archive at its end. Without a Kafka do nothing."""
    fresh = ARCHIVE.with_suffix(f".{os.getpid()}")
    try:
        server = KafkaServer(java_flags=[f"-XX:ArchiveClassesAtExit={fresh}"])
    except pytest.skip.Exception:
        return
    try:
        server.wait_for_coordinator()
        server.create_topic("some")
        server.produce("some", 1)
        server.commit("some", {("some", 0): 1})
        server.end(seconds=120)
        fresh.replace(ARCHIVE)
    finally:
        server.stop()
        fresh.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
