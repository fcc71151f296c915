"""How many checks a second one machine carries: beat, dispatch, worker, check processes and Redis together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import rosters, servers
from bench.processes import cpu_seconds, running, wait_for
from bench.report import Table, percentile
from monitor.store.redis.store import RedisStore
from tests.support.redis_server import RedisServer

INTERVAL_SECONDS = 1.0
_DONE_SHARE = 0.99
_LATE_P99_SECONDS = 1.0
_SETTLE_SECONDS = 5.0  # the burst of the beginning is not what is asked about
_LOOK_EVERY_SECONDS = 0.2  # several times an interval, so that no result is overwritten unseen


@dataclass(frozen=True)
class Rung:
    """A roster of ``offered`` checks a second, and what became of it. Late: beyond the interval since the last run."""

    offered: int
    done_per_second: float
    late_p50_seconds: float
    late_p99_seconds: float
    worker_cores: float
    cores: float

    @property
    def is_carried(self) -> bool:
        return self.done_per_second >= _DONE_SHARE * self.offered and self.late_p99_seconds <= _LATE_P99_SECONDS


def climb(directory: Path, rates: Sequence[int], seconds: float) -> list[Rung]:
    """Offer more and more, up to the first that is too much; what happens then is worth knowing, too."""
    rungs: list[Rung] = []
    for rate in rates:
        with servers.redis_server() as redis:
            rungs.append(_stand(directory, redis, rate, seconds))
        if not rungs[-1].is_carried:
            break
    return rungs


def table(rungs: Sequence[Rung]) -> Table:
    """One row for each rung."""
    columns = ("checks/s offered", "done/s", "late p50 ms", "late p99 ms", "worker, cores", "all, cores")
    made = Table("With the real worker", columns)
    for rung in rungs:
        late = (rung.late_p50_seconds * 1000, rung.late_p99_seconds * 1000)
        made.add(str(rung.offered), rung.done_per_second, *late, rung.worker_cores, rung.cores)
    return made


def _stand(directory: Path, redis: RedisServer, rate: int, seconds: float) -> Rung:
    roster = rosters.noop_checks(rate, interval_seconds=INTERVAL_SECONDS)
    environment = rosters.environment(directory, redis.url, roster)
    store = RedisStore(redis.url)
    with (
        running("monitor", "worker", environment=environment) as worker,
        running("monitor", "beat", environment=environment) as beat,
    ):
        wait_for(lambda: store.states.read().states, what="the first results", process=worker)
        _observe(store, _SETTLE_SECONDS)
        pids = (worker.pid, beat.pid, redis.pid)
        before = [cpu_seconds(pid) for pid in pids]
        started = time.monotonic()
        runs, gaps = _observe(store, seconds)
        elapsed = time.monotonic() - started
        used = [(cpu_seconds(pid) - then) / elapsed for pid, then in zip(pids, before, strict=True)]
    late = sorted(max(0.0, gap - INTERVAL_SECONDS) for gap in gaps)
    return Rung(rate, runs / elapsed, percentile(late, 50), percentile(late, 99), used[0], sum(used))


def _observe(store: RedisStore, seconds: float) -> tuple[int, list[float]]:
    """How many runs were stored in the next ``seconds``, and the seconds between a check's runs."""
    found = store.states.changes(None)
    last = {name: state.result.observed_at for name, state in found.states.items()}
    runs, gaps, end = 0, list[float](), time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(_LOOK_EVERY_SECONDS)
        found = store.states.changes(found.cursor)
        for name, state in found.states.items():
            gap = state.result.observed_at - last.get(name, state.result.observed_at)
            if gap > 0:
                runs, last[name] = runs + 1, state.result.observed_at
                gaps.append(gap)
    # Who waits still has waited at least until now.
    return runs, gaps + [found.read_at - at for at in last.values() if found.read_at - at > INTERVAL_SECONDS]
