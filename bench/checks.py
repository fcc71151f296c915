"""(c) Checks a second through the worker, results stored, against no-op tasks a second on the same worker."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import redis as redis_py

from bench import rosters, servers
from bench.processes import ROOT, cpu_seconds, running, wait_for
from bench.report import Claim, Report, Table, number
from bench.scale import Scale
from bench.worker import NOOP
from monitor.checks.registry import KINDS
from monitor.config import CheckSpec
from monitor.executor import ProcessExecutor
from monitor.model.checks import NO_PAST, Outcome, Past
from monitor.services.run_check import run_check
from monitor.store.redis.store import RedisStore
from monitor.tasks.checks import RUN_CHECK
from monitor.wiring import CHECK_PROCESS
from tests.support.redis_server import RedisServer

METHOD = (
    "{count:,} messages wait in a queue that nobody consumes and are released at once by RENAME, so that no publisher "
    "is measured; the clock stops when none is waiting or unacknowledged. No-op tasks and checks in turns, medians of "
    "{rounds} rounds, on one worker: `monitor worker`, with one task more that does nothing. The checks do nothing "
    "either (kind `python`), but each is a check of its own: it takes its flight, is run in a check process, and its "
    "state is stored. Afterwards all states are looked at: none was dropped."
)
_STAGE = "bench.stage"
_QUEUE = "monitor"


@dataclass(frozen=True)
class Rate:
    """Messages per second, and the CPU time that one took in the worker's process tree and in Redis."""

    per_second: float
    worker_us: float
    redis_us: float


def run(scale: Scale) -> Report:
    """Measure, in about 4 minutes (quick: 45 s)."""
    count, rounds = scale.pick(2000, 200), scale.pick(5, 2)
    pools = {"threads": 16, "prefork": 8}
    with servers.directory() as directory, servers.redis_server() as redis:
        roster = rosters.noop_checks(count, interval_seconds=3600)
        environment = rosters.environment(directory, redis.url, roster)
        found = {
            (pool, slots): _through_worker(environment, redis, pool, slots, count, rounds)
            for pool, slots in pools.items()
        }
        parts = _parts(redis, scale.pick(1000, 100))
    return _report(METHOD.format(count=count, rounds=rounds), found, parts)


def _through_worker(
    environment: Mapping[str, str], redis: RedisServer, pool: str, slots: int, count: int, rounds: int
) -> dict[str, Rate]:
    arguments = ("bench.worker", "--pool", pool, "--concurrency", str(slots))
    runs: dict[str, list[Rate]] = {NOOP: [], RUN_CHECK: []}
    with running(*arguments, environment=environment) as worker, redis.client() as client:
        for number_of_round in range(rounds + 1):
            for task, rates in runs.items():
                rate = _release(environment, redis, client, worker, task, count)
                if number_of_round:  # the first one starts check processes and fills caches
                    rates.append(rate)
    return {task: _middle(rates) for task, rates in runs.items()}


def _release(
    environment: Mapping[str, str],
    redis: RedisServer,
    client: redis_py.Redis,
    worker: subprocess.Popen[bytes],
    task: str,
    count: int,
) -> Rate:
    command = [sys.executable, "-m", "bench.preload", _STAGE, task]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=True)
    store = RedisStore(redis.url)
    begun = store.states.now()
    worker_before, redis_before = cpu_seconds(worker.pid), cpu_seconds(redis.pid)
    started = time.perf_counter()
    client.rename(_STAGE, _QUEUE)
    wait_for(
        lambda: not client.llen(_QUEUE) and not client.hlen("unacked"),
        what=f"{count} messages are consumed",
        seconds=120,
        process=worker,
    )
    elapsed = time.perf_counter() - started
    rate = Rate(
        count / elapsed,
        (cpu_seconds(worker.pid) - worker_before) / count * 1e6,
        (cpu_seconds(redis.pid) - redis_before) / count * 1e6,
    )
    if task == RUN_CHECK:
        wait_for(lambda: _stored_since(store, begun) == count, what=f"{count} results are stored", seconds=5)
    return rate


def _stored_since(store: RedisStore, begun: float) -> int:
    return sum(state.result.observed_at >= begun for state in store.states.read().states.values())


def _middle(rates: list[Rate]) -> Rate:
    return Rate(*(median(getattr(rate, name) for rate in rates) for name in ("per_second", "worker_us", "redis_us")))


class _InProcess:
    """An executor that cannot end what it runs: what the price of being killable is measured against."""

    def start(self) -> None:
        """Nothing has to be started."""

    def run(self, check: CheckSpec, past: Past = NO_PAST) -> tuple[Outcome, float]:
        """Run it right here."""
        return KINDS.build(check.kind, check.options).run(check.timeout_seconds, past), 0.0


def _parts(redis: RedisServer, times: int) -> dict[str, float]:
    """What a check is made of: microseconds for each part, one after the other in one thread."""
    check = CheckSpec(name="one", kind="python", interval=3600, options={"path": "bench.noop:check"})
    store, executor = RedisStore(redis.url, prefix="parts:"), ProcessExecutor(CHECK_PROCESS, [check.kind])

    try:
        return {
            "run in a check process": _microseconds(lambda: executor.run(check), times),
            "run in the worker's own process": _microseconds(lambda: _InProcess().run(check), times),
            "flight, state and history in Redis": _microseconds(
                lambda: run_check(check, None, store=store.states, executor=_InProcess()), times
            ),
            "all of it, as the task does it": _microseconds(
                lambda: run_check(check, None, store=store.states, executor=executor), times
            ),
        }
    finally:
        executor.close()


def _microseconds(action: Callable[[], object], times: int) -> float:
    action()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        taken.append(time.perf_counter() - started)
    return median(taken) * 1e6


def _report(method: str, found: Mapping[tuple[str, int], Mapping[str, Rate]], parts: Mapping[str, float]) -> Report:
    table = Table(
        "Through the worker",
        ("pool", "no-op tasks/s", "checks/s", "ratio", "CPU µs/task", "CPU µs/check", "of Redis, µs/check"),
    )
    for (pool, slots), rates in found.items():
        noop, checks = rates[NOOP], rates[RUN_CHECK]
        ratio = checks.per_second / noop.per_second
        figures = (noop.per_second, checks.per_second, ratio, noop.worker_us, checks.worker_us, checks.redis_us)
        table.add(f"{pool}, {slots} slots", *figures)
    costs = Table("What a check is made of, one after the other in one thread", ("", "µs"))
    for name, microseconds in parts.items():
        costs.add(name, microseconds)
    threads = next(rates for (pool, _), rates in found.items() if pool == "threads")
    ratio = threads[RUN_CHECK].per_second / threads[NOOP].per_second
    apart = parts["run in a check process"] - parts["run in the worker's own process"]
    note = f"being killable costs {number(apart)} µs a check: the round trip to a process of its own"
    return Report(
        "checks",
        method,
        [table, costs],
        [Claim("checks against no-op tasks on the worker's own pool", ratio, "at least", 0.4)],
        [note],
    )
