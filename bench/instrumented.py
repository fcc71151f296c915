"""A user's worker with the agent or without it, and the messages that it is given."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from subprocess import Popen
from typing import Any

import redis as redis_py
from celery import Celery

from bench.processes import running, wait_for
from monitor.agent import beacon_file
from monitor.agent.protocol import HEARTBEAT, Keys, direct_queue, target_field
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
    Publisher(app).send_all(task, arguments, queue=stage, expires_seconds=3600)
    app.close()


def send_heartbeats(redis: RedisServer, client: redis_py.Redis, node: str, count: int) -> Callable[[], bool]:
    """Release ``count`` direct heartbeats for a worker at once; answers whether all of them were executed."""
    seconds, microseconds = client.time()
    first = int(seconds) * 1_000_000 + int(microseconds)
    field, queue, stage = target_field("worker", node), direct_queue(node), f"stage-{first}"
    send(redis, stage, HEARTBEAT, [("worker", node, first + number) for number in range(count)])
    client.hset(KEYS.emitted, field, first + count - 1)
    client.rename(stage, queue)

    def executed() -> bool:
        newest = client.hget(KEYS.heartbeats, field) or b"0"
        return int(newest.split(b"|")[0]) >= first + count - 1 and is_done(client, queue)

    return executed


def is_done(client: redis_py.Redis, queue: str) -> bool:
    """Whether no message waits in the queue, and none that anybody has taken is unacknowledged."""
    return not client.llen(queue) and not client.hlen("unacked")
