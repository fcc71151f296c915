"""Real consumers in processes of their own, which join a group, consume, commit, pause and freeze on command.

A consumer starts at the beginning of a topic, commits after every poll (its first positions, too), and reports the
committed offsets, so that tests know the exact lag.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.kafka_clients import KafkaClients, Partition
from tests.support.processes import wait_for

ROOT = Path(__file__).parents[2]


class ConsumerProcess:
    """Member of a group. Its last reports are in `assignment`, `committed`, `consumed` and `errors`."""

    def __init__(
        self,
        kafka: KafkaClients,
        group: str,
        *topics: str,
        client_id: str = "",
        paused: bool = False,
        delay: float = 0.0,
        session_seconds: float = 6.0,
        **options: Any,
    ) -> None:
        """Start it. It works ``delay`` on each record; the group notices its death after ``session_seconds``."""
        self.group = group
        self.client_id = client_id or f"consumer-{os.urandom(3).hex()}"
        self.assignment: set[Partition] = set()
        self.assignments = 0
        self.committed: dict[Partition, int] = {}
        self.consumed = 0
        self.errors: list[str] = []
        self._numbers = itertools.count(1)
        self._done = 0
        session: dict[str, Any] = {
            "session_timeout_ms": int(session_seconds * 1000),
            "heartbeat_interval_ms": max(200, int(session_seconds * 100)),
            "retry_backoff_ms": 50,
            "reconnect_backoff_max_ms": 500,
        }
        if "api_version" not in kafka.client_options:
            # Time limit of a join whose request was lost; on 0.9 it is the session's time.
            session["max_poll_interval_ms"] = int(max(20, session_seconds) * 1000)
        options = kafka.options(group_id=group, client_id=self.client_id, **{**session, **options})
        task = {"options": options, "topics": topics, "paused": paused, "delay": delay}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.kafka_consumer", json.dumps(task)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._listen, name=f"events of {self.client_id}", daemon=True).start()

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Return whether its process exists."""
        return self._process.poll() is None

    def wait_joined(self, partitions: int | None = None, *, seconds: float = 60) -> None:
        """Wait until the group has assigned partitions to it, or exactly so many."""
        self._wait(
            lambda: len(self.assignment) == partitions if partitions else self.assignments > 0,
            f"joins {self.group} with {partitions} partitions",
            seconds,
        )

    def wait_committed(self, offsets: Mapping[Partition, int], *, seconds: float = 60) -> None:
        """Wait until it has committed exactly these offsets, among others."""
        self._wait(
            lambda: all(self.committed.get(each) == offset for each, offset in offsets.items()),
            f"commits {dict(offsets)}",
            seconds,
        )

    def pause(self, *partitions: Partition) -> None:
        """Pause these partitions, or all of them, including those that are assigned later."""
        self._do("pause", [list(each) for each in partitions])

    def resume(self, *partitions: Partition) -> None:
        """Resume these partitions, or all of them, without their limits."""
        self._do("resume", [list(each) for each in partitions])

    def limit(self, offsets: Mapping[Partition, int]) -> None:
        """Consume these partitions exactly up to an offset, and pause there."""
        self._do("limit", [[*each, offset] for each, offset in offsets.items()])

    def hold_commits(self) -> None:
        """Continue to consume, but commit nothing."""
        self._do("hold")

    def commit(self) -> None:
        """Commit the consumed offsets, and continue to commit."""
        self._do("commit")

    def freeze(self) -> None:
        """Send SIGSTOP. It stays a member until its session ends."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Send SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Send SIGKILL, frozen or not. It stays a member until its session ends."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Leave the group without another commit, and exit."""
        self._send({"do": "close", "number": 0})
        self._process.wait(30)

    def _do(self, what: str, partitions: list[list[Any]] | None = None) -> None:
        number = next(self._numbers)
        self._send({"do": what, "number": number, "partitions": partitions or []})
        self._wait(lambda: self._done >= number, f"does {what}", 60)

    def _wait(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        try:
            wait_for(lambda: condition() or not self.running, seconds=seconds, what=what)
        finally:
            if self.running and not condition():
                os.kill(self.pid, signal.SIGUSR1)  # it writes its stack to stderr
            told = f"{self.assignment=} {self.committed=} {self.consumed=} {self.errors=} {self.running=}"
            assert condition(), f"{self.client_id} {what}: {told}"

    def _send(self, command: Mapping[str, Any]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            event = json.loads(line)
            match event["event"]:
                case "assigned":
                    self.assignment = {(topic, partition) for topic, partition in event["partitions"]}
                    self.assignments += 1
                case "committed":
                    self.committed |= {(topic, partition): offset for topic, partition, offset in event["offsets"]}
                case "consumed":
                    self.consumed = event["count"]
                case "done":
                    self._done = event["number"]
                case "error":
                    self.errors.append(event["error"])


StartConsumer = Callable[..., ConsumerProcess]


@pytest.fixture
def start_consumer() -> Iterator[StartConsumer]:
    """Provide `start_consumer(kafka, group, topic, ...)`, which starts a `ConsumerProcess` for one test."""
    consumers: list[ConsumerProcess] = []

    def start(*arguments: Any, **options: Any) -> ConsumerProcess:
        consumers.append(ConsumerProcess(*arguments, **options))
        return consumers[-1]

    yield start
    for consumer in consumers:
        consumer.kill()
