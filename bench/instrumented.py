"""A user's worker with the agent or without it, and the messages that it is given."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import redis as redis_py
from celery import Celery

from bench.processes import running, wait_for
from monitor.agent import beacon_file
from monitor.agent.protocol import HEARTBEAT, Keys, decode, direct_queue, target_field
from monitor.tasks.publish import Publisher
from tests.support.redis_server import RedisServer

APP = "bench.user_app"
NOOP = "bench.noop"
KEYS = Keys.of("monitor:")


def environment(redis: RedisServer, pulses: Path, *, agent: bool, queue: str = "celery") -> dict[str, str]:
    """Of a worker, and of whoever asks it: the agent's settings are its defaults."""
    return {
        "BENCH_BROKER_URL": redis.url,
        "BENCH_QUEUE": queue,
        "BENCH_AGENT": str(int(agent)),
        "MONITOR_REDIS_URL": redis.url,
        beacon_file.VARIABLE: str(pulses),
    }


@contextlib.contextmanager
def worker(redis: RedisServer, node: str, environment: dict[str, str], *options: str) -> Iterator[Popen[bytes]]:
    """A worker of :mod:`bench.user_app`, once it consumes."""
    command = ("celery", "-A", APP, "worker", "-l", "warning", "-n", node, "-c", "2", *options)
    with running(*command, environment=environment) as process, redis.client() as client:
        queue = environment["BENCH_QUEUE"]
        token = f"ready-{uuid.uuid4().hex}"
        send(redis, token, NOOP, [()])
        client.rename(token, queue)
        wait_for(lambda: is_done(client, queue), what=f"{node} consumes", process=process)
        if environment["BENCH_AGENT"] == "1":
            wait_for(lambda: client.hexists(KEYS.beacons, node), what=f"a beacon of {node}", process=process)
        yield process


def send(redis: RedisServer, stage: str, task: str, arguments: Sequence[tuple[Any, ...]]) -> None:
    """Put messages into the list ``stage``, which nobody consumes: a RENAME to a queue releases them at once."""
    app = Celery("bench.sender", broker=redis.url)
    Publisher(app).send_all(task, arguments, queue=stage)
    app.close()


@dataclass(frozen=True)
class Heartbeats:
    """Direct heartbeats for a worker, which wait where nobody takes them."""

    client: redis_py.Redis
    target: str
    first: int
    count: int

    @property
    def queue(self) -> str:
        """Of many in its own queue a worker executes the newest: those go to the shared one, which executes all."""
        return direct_queue(self.target) if self.count == 1 else "celery"

    def release(self) -> None:
        """Put them into the queue, all at once."""
        self.client.hset(KEYS.emitted, target_field("worker", self.target), self.first + self.count - 1)
        self.client.rename(f"stage-{self.first}", self.queue)

    def are_executed(self) -> bool:
        """Whether all of them were, and acknowledged."""
        newest = self.client.hget(KEYS.heartbeats, target_field("worker", self.target)) or b"0"
        done = int(newest.split(b"|")[0]) >= self.first + self.count - 1
        return done and is_done(self.client, self.queue)


def heartbeats(redis: RedisServer, client: redis_py.Redis, node: str, count: int) -> Heartbeats:
    """So many heartbeats as the monitor sends them, each a microsecond after the other."""
    seconds, microseconds = client.time()
    first = int(seconds) * 1_000_000 + int(microseconds)
    beacon = decode(client.hget(KEYS.beacons, node).partition(b"|")[2])
    send(redis, f"stage-{first}", HEARTBEAT, [("worker", beacon.target, first + number) for number in range(count)])
    return Heartbeats(client, beacon.target, first, count)


def commands(client: redis_py.Redis) -> int:
    """How many commands the server has executed since CONFIG RESETSTAT, those within scripts included."""
    stats = client.info("commandstats")
    return sum(stat["calls"] for name, stat in stats.items() if not name.startswith(("cmdstat_info", "cmdstat_config")))


def is_done(client: redis_py.Redis, queue: str) -> bool:
    """Whether no message waits in the queue, and none that anybody has taken is unacknowledged."""
    return not client.llen(queue) and not client.hlen("unacked")
