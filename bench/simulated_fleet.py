"""``python -m bench.simulated_fleet WORKERS QUEUES FILE``: so many workers, their beacons and their answers.

Beacons go into the real Redis by the agent's own script, twice in an interval; heartbeats are taken out of their queues
and answered by the agent's other script; the rounds between are the monitor's own (`fleet.run_round`). What each costs
is written into FILE, a line of JSON for each round. Goes on until it is ended.
"""

from __future__ import annotations

import base64
import json
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import redis

from bench.instrumented import commands
from monitor import wiring
from monitor.agent import scripts
from monitor.agent.protocol import ActiveTask, Beacon, Keys, direct_queue, encode, instance_target, target_field
from monitor.services import watch_workers
from monitor.standalone.celery_app import app
from monitor.tasks.broker import CeleryBroker

QUEUES_OF_A_WORKER = 3
_AT_ONCE = 200


Spent = dict[str, float]


class Meter:
    """CPU seconds of this process and of Redis, wall seconds, and Redis' commands."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    @contextmanager
    def of(self, what: str, spent: dict[str, Spent]) -> Iterator[None]:
        """Note in ``spent`` what is spent in the block."""
        self._client.config_resetstat()
        redis_before, cpu, started = self._redis_cpu(), time.process_time(), time.perf_counter()
        yield
        mine, wall = time.process_time() - cpu, time.perf_counter() - started
        calls = commands(self._client)
        spent[what] = {"cpu": mine, "wall": wall, "redis": self._redis_cpu() - redis_before, "commands": calls}

    def _redis_cpu(self) -> float:
        used = self._client.info("cpu")
        return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


class Workers:
    """All of them: they say that they are well, and execute every heartbeat."""

    def __init__(self, client: redis.Redis, keys: Keys, workers: int, queues: int, interval_seconds: float) -> None:
        self._client, self._keys = client, keys
        self._started = time.monotonic() - 3600
        names = [f"queue{number:02d}" for number in range(queues)]
        self._beacons = [_beacon(number, names, interval_seconds) for number in range(workers)]
        self._queues = [*names, *(beacon.direct_queue for beacon in self._beacons)]

    def say(self) -> None:
        """Write every beacon."""
        up = round(time.monotonic() - self._started, 1)
        for some in _some(self._beacons):
            pipeline = self._client.pipeline(transaction=False)
            for beacon in some:
                arguments = (beacon.node, encode(replace(beacon, up_seconds=up)), beacon.instance)
                _evaluate(pipeline, scripts.BEACON, self._keys, (*arguments, target_field("worker", beacon.target)))
            pipeline.execute()

    def load_scripts(self) -> None:
        """So that they are known by their digests, as on every server that agents have used."""
        for script in (scripts.BEACON, scripts.EXECUTED):
            self._client.script_load(script.text)

    def answer(self) -> int:
        """Execute what waits; how many heartbeats that was."""
        count = 0
        for some in _some(self._queues):
            pipeline = self._client.pipeline(transaction=False)
            for queue in some:
                pipeline.rpop(queue, 100)
            taken = [message for messages in pipeline.execute() for message in messages or ()]
            for message in taken:
                kind, target, sent = json.loads(base64.b64decode(json.loads(message)["body"]))[0]
                arguments = (target_field(kind, target), sent, f"{self._beacons[0].node}|{self._beacons[0].instance}")
                _evaluate(pipeline, scripts.EXECUTED, (self._keys.heartbeats,), arguments)
            pipeline.execute()
            count += len(taken)
        return count


def main() -> None:
    """Be all workers, and run the rounds of the monitor, until ended."""
    workers, queues = map(int, sys.argv[1:3])
    config = wiring.load().config
    client = redis.Redis.from_url(wiring.required_url(config, "redis_url"))
    meter = Meter(client)
    runtime, broker = wiring.runtime(), CeleryBroker(app)
    interval = config.workers.interval_seconds
    simulated = Workers(client, Keys.of(config.key_prefix), workers, queues, interval)
    simulated.load_scripts()

    def judge() -> watch_workers.WorkerRound:
        made = watch_workers.run_round(
            config.workers, store=runtime.store.states, registry=runtime.store.workers, broker=broker
        )
        if made.event != "completed":
            raise RuntimeError(f"the round was {made.event}: {made.reason}")
        return made

    with Path(sys.argv[3]).open("a") as file:
        at = time.monotonic()
        while True:
            spent: dict[str, Spent] = {}
            with meter.of("beacons", spent):
                simulated.say()
            with meter.of("round", spent):
                made = judge()
            with meter.of("answers", spent):
                answered = simulated.answer()
            outcomes = Counter(str(outcome.reason or outcome.status) for outcome in made.outcomes.values())
            line = {"sent": made.sent, "answered": answered, "outcomes": outcomes, "spent": spent}
            file.write(json.dumps(line) + "\n")
            file.flush()
            at += interval / 2
            time.sleep(max(0.0, at - time.monotonic()))


def _beacon(number: int, queues: list[str], interval_seconds: float) -> Beacon:
    """As large as a real one."""
    node, instance = f"celery@worker-{number:04d}.example.internal", uuid.uuid4().hex[:16]
    mine = {queues[(number + step) % len(queues)] for step in range(0, 7 * QUEUES_OF_A_WORKER, 7)}
    return Beacon(
        node=node,
        host=f"worker-{number:04d}.example.internal",
        pid=7,
        pool="prefork",
        slots=4,
        interval_seconds=interval_seconds,
        up_seconds=3600.0,
        instance=instance,
        direct_queue=direct_queue(instance_target(node, instance)),
        queues=tuple(sorted(mine)),
        direct=True,
        active=(ActiveTask("shop.tasks.send_mail", 1.5), ActiveTask("shop.tasks.render_invoice", 0.4)),
        active_count=2,
        reserved=3,
        done=123_456,
        connected=True,
        loop_lag_seconds=0.02,
        client_id=1000 + number,
        rss_mb=95.2,
        vitals={
            "cpu": {"percent": 25.5, "count": 4},
            "memory": {"percent": 60.2, "available_mb": 2048, "total_mb": 8192},
            "disk": {"percent": 45.8, "free_mb": 50_000, "total_mb": 100_000},
            "connections": {"active_connections": 42},
        },
        versions={"celery": "5.7.0", "kombu": "5.7.0", "redis": "8.1.0", "python": "3.11.7"},
    )


def _evaluate(pipeline: Any, script: scripts.AgentScript, keys: tuple[str, ...], arguments: tuple[Any, ...]) -> None:
    pipeline.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)


def _some(things: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(things), _AT_ONCE):
        yield things[start : start + _AT_ONCE]


if __name__ == "__main__":
    main()
