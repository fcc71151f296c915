"""Process of a `ConsumerProcess`: `python -m tests.support.kafka_consumer JSON`.

It reads commands from stdin and writes reports to stdout. It ends when its stdin is closed, so that none outlives its
test.
"""

from __future__ import annotations

import faulthandler
import json
import os
import queue
import signal
import sys
import threading
import time
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

PATIENCE_SECONDS = 20.0


def main() -> None:
    task = json.loads(sys.argv[1])
    if version := task["options"].get("api_version"):
        task["options"]["api_version"] = tuple(version)
    faulthandler.register(signal.SIGUSR1)
    try:
        _Member(task).run()
    except Exception as error:
        _report("error", error=repr(error))
        raise


class _Member(ConsumerRebalanceListener):
    def __init__(self, task: dict[str, Any]) -> None:
        self._commands: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self._options = {"auto_offset_reset": "earliest", "enable_auto_commit": False, **task["options"]}
        self._topics: list[str] = task["topics"]
        self._patience_ends = time.monotonic() + PATIENCE_SECONDS
        self._join()
        self._delay: float = task["delay"]
        self._all_paused: bool = task["paused"]
        self._paused: set[TopicPartition] = set()
        self._limits: dict[TopicPartition, int] = {}
        self._committing = True
        self._dirty = False
        self._consumed = 0

    def run(self) -> None:
        while self._obey():
            try:
                self._consume()
                if self._dirty and self._committing:
                    self._commit()
            except KafkaError as error:
                _report("error", error=repr(error))
        self._consumer.close(autocommit=False)

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Do nothing: consumed records are committed already."""

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        mine = self._consumer.assignment()
        self._consumer.pause(*[each for each in mine if self._all_paused or each in self._paused])
        self._dirty = True
        _report("assigned", partitions=sorted([each.topic, each.partition] for each in mine))

    def _join(self) -> None:
        self._consumer = KafkaConsumer(**self._options)
        self._consumer.subscribe(self._topics, listener=self)

    def _consume(self) -> None:
        mine = self._consumer.assignment()
        if not mine and time.monotonic() > self._patience_ends:
            # On a busy machine kafka-python 3.0 sometimes reports a join that did not happen: join again once.
            self._patience_ends = float("inf")
            _report("error", error="joins anew")
            self._consumer.close(autocommit=False, timeout_ms=1000)
            self._join()
        # This happens if the consumer gives up a join too early.
        for partition, records in self._consumer.poll(timeout_ms=50 if mine else 500).items():
            for record in records:
                if record.offset >= self._limits.get(partition, record.offset + 1):
                    self._stop_at(partition, self._limits[partition])
                    break
                time.sleep(self._delay)
                self._consumed += 1
            self._dirty = True
            _report("consumed", count=self._consumed)
        for partition, limit in list(self._limits.items()):
            if partition in self._consumer.assignment() and self._consumer.position(partition) == limit:
                self._stop_at(partition, limit)

    def _stop_at(self, partition: TopicPartition, offset: int) -> None:
        del self._limits[partition]
        self._paused.add(partition)
        self._consumer.pause(partition)
        self._consumer.seek(partition, offset)

    def _commit(self) -> None:
        positions = {each: self._consumer.position(each, timeout_ms=2000) for each in self._consumer.assignment()}
        known = {each: OffsetAndMetadata(at, "", -1) for each, at in positions.items() if at is not None}
        if known:
            self._consumer.commit(known)
            _report("committed", offsets=[[each.topic, each.partition, at.offset] for each, at in known.items()])
        self._dirty = len(known) < len(positions)

    def _obey(self) -> bool:
        """Execute a command. Return False if it was the command to close."""
        while not self._commands.empty():
            command = self._commands.get()
            partitions = [TopicPartition(*each[:2]) for each in command.get("partitions", ())]
            match command["do"]:
                case "close":
                    return False
                case "pause":
                    self._pause(partitions)
                case "resume":
                    self._resume(partitions)
                case "limit":
                    self._resume(partitions)
                    self._limits |= {
                        each: told[2] for each, told in zip(partitions, command["partitions"], strict=True)
                    }
                case "hold":
                    self._committing = False
                case "commit":
                    self._committing = self._dirty = True
                    self._commit()
            _report("done", number=command["number"])
        return True

    def _pause(self, partitions: list[TopicPartition]) -> None:
        self._all_paused = self._all_paused or not partitions
        self._paused |= set(partitions)
        mine = self._consumer.assignment()
        self._consumer.pause(*[each for each in partitions or mine if each in mine])

    def _resume(self, partitions: list[TopicPartition]) -> None:
        mine = self._consumer.assignment()
        if self._all_paused and partitions:  # the others stay as they are
            self._paused |= mine
        self._all_paused = False
        for each in partitions or self._paused | mine:
            self._paused.discard(each)
            self._limits.pop(each, None)
        self._consumer.resume(*[each for each in partitions or mine if each in mine])

    def _read(self) -> None:
        for line in sys.stdin:
            self._commands.put(json.loads(line))
        os._exit(1)


def _report(event: str, **values: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
