"""What the agent costs the worker it lives in: throughput, CPU time, memory and connections."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from subprocess import Popen

import psutil
import redis as redis_py

from bench import instrumented, servers
from bench.instrumented import NOOP
from bench.processes import cpu_seconds, wait_for
from bench.report import Claim, Report, Table, number
from bench.scale import Scale
from tests.support.redis_server import RedisServer

METHOD = (
    "Two workers of one application with a no-op task, prefork with two slots, each on a Redis of its own: with "
    "`monitor.install(app)` and its default settings, and without. {count:,} messages are released at once by RENAME; "
    "the clock stops when none is waiting or unacknowledged. {rounds} rounds; in each of them both workers, one after "
    "the other, the order changing; the instrumented one gets a direct heartbeat in each. Losses are medians of the "
    "rounds' ratios. Memory is that at the end of the rounds; of all together, shared pages count once (PSS). "
    "Last, {heartbeats:,} heartbeats at once in the shared queue, as they would come in {hours:.0f} hours."
)
_QUEUE = "celery"
_STAGE = "bench.stage"


@dataclass
class Subject:
    """A worker and its Redis; of each round: tasks a second, and CPU microseconds of the worker's tree for a task."""

    redis: RedisServer
    client: redis_py.Redis
    process: Popen[bytes]
    node: str
    agent: bool
    rates: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Size:
    """Memory in MiB (resident: main process, mean of its children; proportional: all), open files, connections."""

    main_rss: float
    child_rss: float
    tree_pss: float
    files: int
    connections: int


def run(scale: Scale) -> Report:
    """Measure, in about 4 minutes (quick: 40 s)."""
    count, rounds, heartbeats = scale.pick(4000, 500), scale.pick(20, 2), scale.pick(10_000, 500)
    with servers.directory() as directory, _subject(directory, True) as ours, _subject(directory, False) as plain:
        for number_of_round in range(rounds + 1):
            for subject in (ours, plain) if number_of_round % 2 else (plain, ours):
                rate, cpu_us = _release(subject, count)
                if number_of_round:  # the first one fills caches
                    subject.rates.append(rate)
                    subject.cpu_us.append(cpu_us)
        _heartbeats(ours, 100)  # each child opens its connection with its first one
        sizes = {"without": _size(plain), "with the agent": _size(ours)}
        heartbeat_us = _heartbeats(ours, heartbeats)
        sizes[f"after {heartbeats:,} heartbeats more"] = _size(ours)
    method = METHOD.format(count=count, rounds=rounds, heartbeats=heartbeats, hours=heartbeats * 10 / 3600)
    return _report(method, ours, plain, sizes, heartbeat_us)


@contextlib.contextmanager
def _subject(directory: Path, agent: bool) -> Iterator[Subject]:
    node = f"{'with' if agent else 'without'}@bench"
    with servers.redis_server() as redis, redis.client() as client:
        environment = instrumented.environment(redis, directory / "pulses", agent=agent, queue=_QUEUE)
        with instrumented.worker(redis, node, environment) as process:
            yield Subject(redis, client, process, node, agent)


def _release(subject: Subject, count: int) -> tuple[float, float]:
    """Tasks a second, and CPU microseconds for a task."""
    instrumented.send(subject.redis, _STAGE, NOOP, [()] * count)
    heartbeats = instrumented.heartbeats(subject.redis, subject.client, subject.node, 1) if subject.agent else None
    before, started = cpu_seconds(subject.process.pid), time.perf_counter()
    subject.client.rename(_STAGE, _QUEUE)
    if heartbeats is not None:
        heartbeats.release()
    wait_for(
        lambda: instrumented.is_done(subject.client, _QUEUE),
        what=f"{count} messages are consumed",
        seconds=120,
        process=subject.process,
    )
    elapsed = time.perf_counter() - started
    cpu_us = (cpu_seconds(subject.process.pid) - before) / count * 1e6
    if heartbeats is not None:
        wait_for(heartbeats.are_executed, what="the heartbeat is executed", process=subject.process)
    return count / elapsed, cpu_us


def _heartbeats(subject: Subject, count: int) -> float:
    """CPU microseconds of the worker's tree for a heartbeat."""
    heartbeats = instrumented.heartbeats(subject.redis, subject.client, subject.node, count)
    before = cpu_seconds(subject.process.pid)
    heartbeats.release()
    wait_for(heartbeats.are_executed, what=f"{count} heartbeats are executed", seconds=300, process=subject.process)
    return (cpu_seconds(subject.process.pid) - before) / count * 1e6


def _size(subject: Subject) -> Size:
    main = psutil.Process(subject.process.pid)
    children = main.children(recursive=True)
    tree = [main, *children]
    return Size(
        main.memory_info().rss / 2**20,
        sum(child.memory_info().rss for child in children) / len(children) / 2**20,
        sum(process.memory_full_info().pss for process in tree) / 2**20,
        sum(process.num_fds() for process in tree),
        len(subject.client.client_list()),
    )


def _report(method: str, ours: Subject, plain: Subject, sizes: dict[str, Size], heartbeat_us: float) -> Report:
    speed = Table("No-op tasks", ("", "tasks/s", "CPU µs/task"))
    speed.add("without", median(plain.rates), median(plain.cpu_us))
    speed.add("with the agent", median(ours.rates), median(ours.cpu_us))
    memory = Table("Size", ("", "main process, MiB", "a child, MiB", "all, MiB", "open files", "connections to Redis"))
    for name, size in sizes.items():
        memory.add(name, size.main_rss, size.child_rss, size.tree_pss, str(size.files), str(size.connections))
    without, with_agent, later = sizes.values()
    lost = 100 * (1 - median(mine / theirs for mine, theirs in zip(ours.rates, plain.rates, strict=True)))
    more = 100 * (median(mine / theirs for mine, theirs in zip(ours.cpu_us, plain.cpu_us, strict=True)) - 1)
    claims = [
        Claim("throughput lost", lost, "at most", 2, "%"),
        Claim("CPU time for a task, more", more, "at most", 2, "%"),
        Claim("memory of the main process", later.main_rss - without.main_rss, "at most", 3, "MiB"),
        Claim("memory of a child", later.child_rss - without.child_rss, "at most", 3, "MiB"),
        Claim("connections that heartbeats leave", later.connections - with_agent.connections, "at most", 0, "more"),
        Claim("open files that heartbeats leave", later.files - with_agent.files, "at most", 0, "more"),
    ]
    notes = [
        f"CPU time for a heartbeat: {number(heartbeat_us)} µs",
        f"memory of main process and two children: {number(later.tree_pss - without.tree_pss)} MiB more",
    ]
    return Report("agent_overhead", method, [speed, memory], claims, notes)
