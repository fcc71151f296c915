"""Real consumers: processes of their own that join a group, consume, commit, pause, freeze and die as they are told.

A consumer starts at the beginning, commits what it has consumed after every poll (its first positions, too), and
tells which offsets it has committed, so that tests can say the exact lag.
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
    """One member of a group. What it told last is in `assignment`, `committed`, `consumed` and `errors`."""

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
        """Start it. ``delay`` is how long it works on a record; ``session_seconds`` after death the group notices."""
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
            # How long a request to join that is lost is waited for; on 0.9 it is the session's time.
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
        """Its process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process.poll() is None

    def wait_joined(self, partitions: int | None = None, *, seconds: float = 60) -> None:
        """Wait until the group has given it partitions, or exactly so many."""
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
        """Take no more records of these partitions, or of any, also of those that it is given later."""
        self._do("pause", [list(each) for each in partitions])

    def resume(self, *partitions: Partition) -> None:
        """Take records of these partitions again, or of all; limits are forgotten with it."""
        self._do("resume", [list(each) for each in partitions])

    def limit(self, offsets: Mapping[Partition, int]) -> None:
        """Consume these partitions up to an offset, exactly, and pause there."""
        self._do("limit", [[*each, offset] for each, offset in offsets.items()])

    def hold_commits(self) -> None:
        """Go on consuming, but commit nothing."""
        self._do("hold")

    def commit(self) -> None:
        """Commit what has been consumed, and go on committing."""
        self._do("commit")

    def freeze(self) -> None:
        """SIGSTOP it: it stays a member until its session ends."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT it."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL it, frozen or not: it stays a member until its session ends."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Leave the group, committing nothing more, and end."""
        self._say({"do": "close", "number": 0})
        self._process.wait(30)

    def _do(self, what: str, partitions: list[list[Any]] | None = None) -> None:
        number = next(self._numbers)
        self._say({"do": what, "number": number, "partitions": partitions or []})
        self._wait(lambda: self._done >= number, f"does {what}", 60)

    def _wait(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        try:
            wait_for(lambda: condition() or not self.running, seconds=seconds, what=what)
        finally:
            if self.running and not condition():
                os.kill(self.pid, signal.SIGUSR1)  # where it stands, on stderr
            told = f"{self.assignment=} {self.committed=} {self.consumed=} {self.errors=} {self.running=}"
            assert condition(), f"{self.client_id} {what}: {told}"

    def _say(self, command: Mapping[str, Any]) -> None:
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
    """Starts consumers: `start_consumer(kafka, group, topic, ...)`, see `ConsumerProcess`; killed with the test."""
    consumers: list[ConsumerProcess] = []

    def start(*arguments: Any, **options: Any) -> ConsumerProcess:
        consumers.append(ConsumerProcess(*arguments, **options))
        return consumers[-1]

    yield start
    for consumer in consumers:
        consumer.kill()
