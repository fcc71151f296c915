"""Ready and live at 500 requests a second while all checks run: in health, and from the first moment of a fault."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench import rosters, servers
from bench.processes import Served, serving
from bench.report import Claim, Report, Table
from bench.scale import Scale
from tests.support.faults import FaultProxy, Freezer
from tests.support.load import Load, LoadProcess, open_loop
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer

METHOD = (
    "`monitor up` as it is, with a PostgreSQL and a Redis of their own, the default roster of seven checks, each run "
    "every second. Open loop at {rate} requests/s: every scheduled request is counted, its latency runs from its "
    "scheduled time, and an unanswered one has failed. Healthy: {seconds:g} s each. Faults: ready and live in turns, "
    "{rate} requests/s in all, each on a new connection (as the kubelet's), counted from the moment of the fault for "
    "{fault_seconds:g} s, in which it lasts; everything is started anew for each. Late p99: how late the load "
    "generator itself was, which is in the other figures."
)
RATE = 500
_BEFORE_SECONDS = 1.0


@dataclass
class Surroundings:
    """What the monitor depends on, and what makes it fail. The proxies are in front of the two servers."""

    redis: RedisServer
    postgres: PostgresServer
    redis_proxy: FaultProxy
    postgres_proxy: FaultProxy
    freezer: Freezer = field(default_factory=Freezer)

    @property
    def redis_url(self) -> str:
        return f"redis://127.0.0.1:{self.redis_proxy.port}/0"

    @property
    def database_url(self) -> str:
        return self.postgres.url.replace(f":{self.postgres.port}/", f":{self.postgres_proxy.port}/")


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong, and how it is put right. ``begin`` and ``end`` return at once."""

    name: str
    begin: Callable[[Surroundings], object]
    end: Callable[[Surroundings], object]


def _blackhole(*proxies: FaultProxy) -> None:
    for proxy in proxies:
        proxy.set("blackhole")


def _open(*proxies: FaultProxy) -> None:
    for proxy in proxies:
        proxy.set("ok", cut=True)  # what was swallowed stays swallowed: old connections end


FAULTS = (
    Fault(
        "PostgreSQL frozen",
        lambda at: at.freezer.freeze(at.postgres.pid, children=True),
        lambda at: at.freezer.thaw_all(),
    ),
    Fault("PostgreSQL killed", lambda at: at.postgres.kill(), lambda at: at.postgres.start()),
    Fault("PostgreSQL black-holed", lambda at: _blackhole(at.postgres_proxy), lambda at: _open(at.postgres_proxy)),
    Fault("Redis frozen", lambda at: at.freezer.freeze(at.redis.pid), lambda at: at.freezer.thaw_all()),
    Fault("Redis killed", lambda at: at.redis.kill(), lambda at: at.redis.start()),
    Fault("Redis restarted empty", lambda at: at.redis.restart(), lambda _: None),
    Fault("Redis black-holed", lambda at: _blackhole(at.redis_proxy), lambda at: _open(at.redis_proxy)),
    Fault(
        "both frozen",
        lambda at: (at.freezer.freeze(at.postgres.pid, children=True), at.freezer.freeze(at.redis.pid)),
        lambda at: at.freezer.thaw_all(),
    ),
    Fault(
        "both black-holed",
        lambda at: _blackhole(at.redis_proxy, at.postgres_proxy),
        lambda at: _open(at.redis_proxy, at.postgres_proxy),
    ),
)


def run(scale: Scale) -> Report:
    """Measure, in about 6 minutes (quick: 2.5 minutes)."""
    seconds, fault_seconds = scale.pick(20.0, 3.0), scale.pick(15.0, 3.0)
    with servers.directory() as directory:
        healthy = _healthy(directory, seconds)
        through = {fault.name: _through(directory, fault, fault_seconds) for fault in FAULTS}
    method = METHOD.format(rate=RATE, seconds=seconds, fault_seconds=fault_seconds)
    worst = max((load.max_ms for load in through.values()), default=0.0)
    missing = sum(len(load.failures) for load in through.values())
    claims = [
        *(Claim(f"{name}: p99", load.percentile(99), "at most", 10, "ms") for name, load in healthy.items()),
        Claim("longest answer through all faults", worst, "at most", 100, "ms"),
        Claim("unanswered through all faults", missing, "at most", 0, "requests"),
    ]
    tables = [_table("Healthy", healthy), _table("Through faults", _by_endpoint(through))]
    note = "no backend of PostgreSQL is frozen apart: a check closes its connection, so that none is held between runs"
    return Report("probes_under_load", method, tables, claims, [note])


def _healthy(directory: Path, seconds: float) -> dict[str, Load]:
    with _surroundings() as around, _up(directory, around) as served:
        live = served.url.replace(servers.READY, servers.LIVE)
        return {
            f"{name}, {kind} connections": open_loop(url, per_second=RATE, seconds=seconds, fresh=kind == "new")
            for name, url in (("ready", served.url), ("live", live))
            for kind in ("kept", "new")
        }


def _through(directory: Path, fault: Fault, seconds: float) -> Load:
    """The load from the moment of the fault to its end, the probes in turns."""
    with _surroundings() as around, _up(directory, around) as served:
        live = served.url.replace(servers.READY, servers.LIVE)
        whole = _BEFORE_SECONDS + seconds + 60
        with LoadProcess(served.url, live, per_second=RATE, seconds=whole, fresh=True) as process:
            time.sleep(_BEFORE_SECONDS)
            begun = time.monotonic()
            fault.begin(around)
            time.sleep(max(0.0, begun + seconds - time.monotonic()))
            load = process.stop()
        fault.end(around)
    return load.between(begun)


@contextlib.contextmanager
def _surroundings() -> Iterator[Surroundings]:
    with servers.redis_server() as redis, servers.postgres_server() as postgres, servers.freezer() as freezer:
        redis_proxy, postgres_proxy = FaultProxy("127.0.0.1", redis.port), FaultProxy("127.0.0.1", postgres.port)
        try:
            yield Surroundings(redis, postgres, redis_proxy, postgres_proxy, freezer)
        finally:
            redis_proxy.close()
            postgres_proxy.close()


def _up(directory: Path, around: Surroundings) -> contextlib.AbstractContextManager[Served]:
    every_second = "[defaults]\ninterval = 1\n"
    environment = rosters.environment(
        directory, around.redis_url, every_second, default_checks=True, database_url=around.database_url
    )
    data = directory / f"data-{around.redis.port}"
    return serving("monitor", "up", "--data-dir", str(data), path=servers.READY, environment=environment)


def _by_endpoint(loads: dict[str, Load]) -> dict[str, Load]:
    found = {}
    for name, load in loads.items():
        for url in dict.fromkeys(sample.url for sample in load.samples):
            found[f"{name}: {'ready' if url.endswith(servers.READY) else 'live'}"] = load.of(url)
    return found


def _table(title: str, loads: dict[str, Load]) -> Table:
    table = Table(title, ("", "requests", "unanswered", "p50 ms", "p99 ms", "max ms", "late p99 ms", "answers"))
    for name, load in loads.items():
        times = (load.percentile(50), load.percentile(99), load.max_ms, load.late_percentile(99))
        answers = ", ".join(f"{count} x {status}" for status, count in sorted(load.statuses.items())) or "none"
        table.add(name, str(len(load)), str(len(load.failures)), *times, answers)
    return table
