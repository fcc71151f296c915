"""(a) Ready and live against an empty Django view and a bare WSGI callable, on the same server in the same run."""

from __future__ import annotations

import contextlib

from bench import rosters, servers, wrk
from bench.processes import Served
from bench.report import Claim, Report, Table
from bench.scale import Scale
from bench.wrk import Throughput

METHOD = (
    "wrk with 16 kept-alive connections and one thread, in turns: every round measures each application once, and the "
    "median of the rounds counts. All are served by the command `monitor web` (granian, WSGI, one process), each on a "
    "port of its own. The monitor has its default roster of seven checks, whose states are renewed meanwhile."
)
BARE, EMPTY, LIVE, READY, DETAILED = "bare WSGI callable", "empty Django view", "live", "ready", "detailed"


def run(scale: Scale) -> Report:
    """Measure, in about 2 minutes (quick: 15 s)."""
    with servers.directory() as directory, servers.redis_server() as redis, contextlib.ExitStack() as stack:
        environment = rosters.environment(directory, redis.url, rosters.NEVER_STALE, default_checks=True)
        stack.enter_context(servers.invented_states(environment, redis, 7, rate=1))
        targets = {
            BARE: stack.enter_context(servers.baseline("bench.sites.bare:application", "/", "monitor.settings")),
            EMPTY: stack.enter_context(
                servers.baseline("bench.sites.django_wsgi:application", "/empty/", "bench.sites.empty")
            ),
        }
        ours = stack.enter_context(servers.web(environment))
        targets |= {
            LIVE: Served(ours.url.replace(servers.READY, servers.LIVE), ours.pid),
            READY: ours,
            DETAILED: Served(ours.url.replace(servers.READY, servers.DETAILED), ours.pid),
        }
        found = in_turns(targets, rounds=scale.pick(7, 2), seconds=scale.pick(3, 1))
    return _report(found)


def in_turns(targets: dict[str, Served], *, rounds: int, seconds: int) -> dict[str, Throughput]:
    """Every target once in every round, so that what disturbs the machine disturbs all; medians over the rounds."""
    runs: dict[str, list[Throughput]] = {name: [] for name in targets}
    for target in targets.values():
        wrk.measure(target.url, target.pid, seconds=1)  # caches, connections, the CPU's clock
    names = list(targets)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:  # nobody always comes after the same one
            target = targets[name]
            runs[name].append(wrk.measure(target.url, target.pid, seconds=seconds))
    return {name: wrk.middle(measured) for name, measured in runs.items()}


def _report(found: dict[str, Throughput]) -> Report:
    columns = ("", "requests/s", "p50 ms", "p99 ms", "server CPU µs/request", "x empty view", "x bare", "refused")
    table = Table("Throughput, closed loop", columns)
    for name, one in found.items():
        ratios = (one.per_second / found[base].per_second for base in (EMPTY, BARE))
        table.add(name, one.per_second, one.p50_ms, one.p99_ms, one.cpu_us, *ratios, str(one.refused))
    ready = found[READY].per_second
    return Report(
        "serving",
        METHOD,
        [table],
        [
            Claim("ready against an empty Django view", ready / found[EMPTY].per_second, "at least", 0.9),
            Claim("ready against a bare WSGI callable", ready / found[BARE].per_second, "at least", 0.5),
        ],
    )
