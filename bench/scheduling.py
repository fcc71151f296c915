"""Scheduling alone: how late checks are sent, and what that costs; and how many the real worker then carries."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

from bench import capacity, rosters, servers
from bench.capacity import Rung
from bench.processes import cpu_seconds, running, wait_for
from bench.report import Claim, Report, Table, percentile
from bench.scale import Scale
from bench.stub import stub
from tests.support.redis_server import RedisServer

METHOD = (
    "Our beat and one worker that does nothing but dispatch; a stub takes the messages of the checks from the queue "
    "and notes how long after its due time each one was there. Stock beat has one entry for each check instead, and "
    "says no due times. {seconds:g} s each, after every check was sent once. Cores are the CPU time of beat and "
    "dispatcher (of Redis: apart). Last, the whole of it with the real worker and checks that do nothing, each once "
    "a second, with rosters that grow until less than 99 % of the runs are done, or 1 % of them are more than 1 s late."
)
_QUEUE = "monitor"
_SETTLE_SECONDS = 3.0  # or an interval: the burst of the beginning is not what is asked about


@dataclass(frozen=True)
class Sent:
    """What the stub took in a window of time, and what it cost to send it."""

    wanted_per_second: float
    per_second: float
    delays: list[float]
    cores: float
    redis_cores: float


def run(scale: Scale) -> Report:
    """Measure, in about 6 minutes (quick: 1.5 minutes)."""
    seconds = scale.pick(30.0, 6.0)
    with servers.directory() as directory:
        found = {
            "ours, 1,000 checks every 1 s": _ours(directory, 1000, 1.0, seconds),
            "ours, 10,000 checks every 10 s": _ours(directory, 10_000, 10.0, scale.pick(30.0, 11.0)),
            "stock beat, 1,000 entries every 1 s": _stock(directory, 1000, 1.0, seconds),
        }
        rungs = capacity.climb(
            directory, scale.pick((100, 200, 300, 400, 500, 600, 800), (50, 100)), scale.pick(20.0, 5.0)
        )
    table = Table(
        "Schedule delay and its cost", ("", "wanted/s", "sent/s", "p50 ms", "p99 ms", "max ms", "cores", "Redis, cores")
    )
    for name, one in found.items():
        times = [percentile(one.delays, percent) * 1000 for percent in (50, 99, 100)]
        table.add(name, one.wanted_per_second, one.per_second, *times, one.cores, one.redis_cores)
    return Report(
        "scheduling",
        METHOD.format(seconds=seconds),
        [table, capacity.table(rungs)],
        [claim for name, one in found.items() if one.delays for claim in _claims(name, one)],
        _notes(rungs),
    )


def _notes(rungs: list[Rung]) -> list[str]:
    carried = max((rung.offered for rung in rungs if rung.is_carried), default=0)
    notes = [f"with the real worker this machine carries {carried} checks/s: beat, dispatch, checks and Redis together"]
    if not rungs[-1].is_carried:
        notes.append(f"past that, of {rungs[-1].offered} checks/s offered {rungs[-1].done_per_second:.0f} are done")
    return notes


def _claims(name: str, one: Sent) -> list[Claim]:
    return [
        Claim(f"{name}: delay p99", percentile(one.delays, 99) * 1000, "at most", 1000, "ms"),
        Claim(f"{name}: beat and dispatcher", one.cores, "at most", 0.5, "cores"),
    ]


def _ours(directory: Path, count: int, interval_seconds: float, seconds: float) -> Sent:
    with servers.redis_server() as redis, contextlib.ExitStack() as stack:
        roster = rosters.noop_checks(count, interval_seconds=interval_seconds)
        environment = rosters.environment(directory, redis.url, roster)
        dispatcher = ("bench.worker", "--queues", f"{_QUEUE}.dispatch", "--concurrency", "1")
        roles = [
            stack.enter_context(running(*dispatcher, environment=environment)),
            stack.enter_context(running("monitor", "beat", environment=environment)),
        ]
        return _observe(directory, redis, _QUEUE, roles, count, interval_seconds, seconds)


def _stock(directory: Path, count: int, interval_seconds: float, seconds: float) -> Sent:
    with servers.redis_server() as redis:
        environment = {
            "BENCH_REDIS_URL": redis.url,
            "BENCH_ENTRIES": str(count),
            "BENCH_INTERVAL_SECONDS": str(interval_seconds),
        }
        command = ("celery", "-A", "bench.stock_beat", "beat", "-s", str(directory / "stock"), "-l", "warning")
        with running(*command, environment=environment) as beat:
            return _observe(directory, redis, "stock", [beat], count, interval_seconds, seconds)


def _observe(
    directory: Path,
    redis: RedisServer,
    queue: str,
    roles: list[Popen[bytes]],
    count: int,
    interval_seconds: float,
    seconds: float,
) -> Sent:
    pids = [role.pid for role in roles]
    with stub(redis.url, queue, directory) as workers:

        def everything_was_sent() -> bool:
            workers.look()
            return len({taken.check for taken in workers.taken}) >= count

        wait_for(everything_was_sent, what="all checks are sent", process=roles[0])
        time.sleep(max(_SETTLE_SECONDS, interval_seconds))
        before, redis_before = sum(map(cpu_seconds, pids)), cpu_seconds(redis.pid)
        start = time.time()
        time.sleep(seconds)
        cores = (sum(map(cpu_seconds, pids)) - before) / seconds
        redis_cores = (cpu_seconds(redis.pid) - redis_before) / seconds
        wait_for(lambda: workers.look() or workers.until >= start + seconds, what="the stub has written it down")
    window = [taken for taken in workers.taken if start <= taken.at < start + seconds]
    delays = sorted(taken.delay_seconds for taken in window if taken.delay_seconds is not None)
    return Sent(count / interval_seconds, len(window) / seconds, delays, cores, redis_cores)
