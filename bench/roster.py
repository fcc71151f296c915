"""(d) What ready and detailed cost with 10, 100, 1,000 and 10,000 checks on the roster."""

from __future__ import annotations

import contextlib
import time
import urllib.request
from collections.abc import Iterator, Mapping
from statistics import median

from bench import rosters, servers
from bench.processes import Served, cpu_seconds
from bench.report import Claim, Report, Table
from bench.scale import Scale
from bench.serving import in_turns
from bench.wrk import Throughput
from tests.support.load import Load, LoadProcess, open_loop

METHOD = (
    "One `monitor web` for each size, all on one Redis; the group `ready` has three checks, the others are outside of "
    "it. Every roster has {rate} of its states renewed each second meanwhile, by the real use case. wrk, 16 kept-alive "
    "connections, in turns, medians of {rounds} rounds. At rest: CPU time without any request, which is what it costs "
    "to keep up with the store. Rendering: a request after a pause, so that no kept page answers it. Last, ready of "
    "the largest roster in open loop at 200 requests/s, alone and while its detailed is asked for."
)
SIZES = (10, 100, 1000, 10_000)
_DEFAULT_CHECKS = 7
_RATE = 50
_PAUSE_SECONDS = 1.1  # a page is kept for at most a second


def run(scale: Scale) -> Report:
    """Measure, in about 4 minutes (quick: 1 minute)."""
    rounds, seconds = scale.pick(5, 1), scale.pick(3, 1)
    with _webs() as webs:
        at_rest = {name: _at_rest(served, scale.pick(5.0, 2.0)) for name, served in webs.items()}
        ready = in_turns(webs, rounds=rounds, seconds=seconds)
        detailed = {name: _detailed(served) for name, served in webs.items()}
        whole = in_turns(detailed, rounds=rounds, seconds=seconds)
        rendering = {name: _rendering(served, times=scale.pick(5, 2)) for name, served in detailed.items()}
        largest = str(SIZES[-1])
        alone, beside = _ready_beside_detailed(webs[largest].url, detailed[largest].url, scale.pick(20.0, 3.0))
    tables = [
        _throughput("ready", ready, "CPU at rest, ms/s", {name: (cost,) for name, cost in at_rest.items()}),
        _throughput("detailed", whole, "rendering ms", rendering),
        _open_loop({"alone": alone, "while detailed is asked for 5 times a second": beside}),
    ]
    return Report("roster", METHOD.format(rate=_RATE, rounds=rounds), tables, _claims(ready))


@contextlib.contextmanager
def _webs() -> Iterator[dict[str, Served]]:
    with servers.directory() as directory, servers.redis_server() as redis, contextlib.ExitStack() as stack:
        served = {}
        for size in SIZES:
            environment = rosters.environment(
                directory,
                redis.url,
                rosters.NEVER_STALE,
                rosters.noop_checks(size - _DEFAULT_CHECKS, interval_seconds=10),
                default_checks=True,
                key_prefix=f"n{size}:",
            )
            stack.enter_context(servers.invented_states(environment, redis, size, rate=_RATE, states=f"n{size}:states"))
            served[str(size)] = stack.enter_context(servers.web(environment))
        yield served


def _detailed(served: Served) -> Served:
    return Served(served.url.replace(servers.READY, servers.DETAILED), served.pid)


def _at_rest(served: Served, seconds: float) -> float:
    """Milliseconds of CPU time each second, while nobody asks anything."""
    before = cpu_seconds(served.pid)
    time.sleep(seconds)
    return (cpu_seconds(served.pid) - before) / seconds * 1000


def _rendering(served: Served, times: int) -> tuple[float, float]:
    """Milliseconds to the last byte of a page that has to be rendered, and its size in kB."""
    taken, size = [], 0
    for _ in range(times):
        time.sleep(_PAUSE_SECONDS)
        started = time.perf_counter()
        with urllib.request.urlopen(served.url, timeout=30) as answer:
            size = len(answer.read())
        taken.append((time.perf_counter() - started) * 1000)
    return median(taken), size / 1000


def _ready_beside_detailed(ready: str, detailed: str, seconds: float) -> tuple[Load, Load]:
    alone = open_loop(ready, per_second=200, seconds=seconds)
    with LoadProcess(detailed, per_second=5, seconds=seconds + 1) as other:
        beside = open_loop(ready, per_second=200, seconds=seconds)
        other.stop()
    return alone, beside


def _throughput(title: str, found: dict[str, Throughput], extra: str, extras: Mapping[str, tuple[float, ...]]) -> Table:
    columns = (
        "checks on the roster",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "CPU µs/request",
        "x the CPU time with 10",
        extra,
    )
    table = Table(title, (*columns, "kB") if title == "detailed" else columns)
    few = found[str(SIZES[0])]
    for name, one in found.items():
        figures = (one.per_second, one.p50_ms, one.p99_ms, one.cpu_us, one.cpu_us / few.cpu_us, *extras[name])
        table.add(f"{int(name):,}", *figures)
    return table


def _open_loop(loads: Mapping[str, Load]) -> Table:
    table = Table("ready with 10,000 checks, open loop", ("", "p50 ms", "p99 ms", "max ms", "unanswered"))
    for name, load in loads.items():
        table.add(name, load.percentile(50), load.percentile(99), load.max_ms, str(len(load.failures)))
    return table


def _claims(ready: Mapping[str, Throughput]) -> list[Claim]:
    few, many = ready[str(SIZES[0])], ready[str(SIZES[-1])]
    text = "cost of ready, 10,000 against 10 checks"
    return [
        Claim(f"{text}, by throughput", few.per_second / many.per_second, "at most", 1.2),
        Claim(f"{text}, by CPU time", many.cpu_us / few.cpu_us, "at most", 1.2),
    ]
