"""(b) The same four checks in django-health-check and django-watchman: healthy, and with their servers frozen."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench import rosters, servers
from bench.processes import Served, running, serving
from bench.report import Claim, Report, Table
from bench.scale import Scale
from bench.serving import in_turns
from bench.wrk import Throughput
from tests.support.faults import Freezer
from tests.support.load import Load, LoadProcess
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer

METHOD = (
    "Four checks each: database, redis, celery and disk, on the same PostgreSQL and Redis, on the server and with the "
    "settings of `monitor web`, database connections kept. django-health-check: Database, Redis, Ping, Disk. "
    "django-watchman: databases, caches (Redis), storage, and a Celery ping that is ours, with the same time limit. "
    "Ours: real worker, beat and web, checks every 10 s. Healthy: wrk, 16 connections, in turns. Frozen: PostgreSQL "
    "with its backends, and Redis, SIGSTOPped; {rate:g} requests/s for {seconds:g} s on new connections, open loop, "
    "given up after {timeout:g} s each. Every server starts anew before its surroundings are frozen."
)
OURS, DHC, DHC_THREE, WATCHMAN = (
    "ready",
    "django-health-check",
    "django-health-check without its Celery check",
    "django-watchman",
)
_PATHS = {DHC: "/health-check/", DHC_THREE: "/health-check-without-celery/", WATCHMAN: "/watchman/"}
_RATE = 2.0
"""Requests a second to a frozen server: what half a dozen probes make."""

_ROSTER = "".join(
    f"[checks.{name}]\nkind = '{name}'\ngroups = ['ready']\n" for name in ("database", "redis", "celery", "disk")
)


def run(scale: Scale) -> Report:
    """Measure, in about 10 minutes (quick: 3 minutes)."""
    seconds, timeout_seconds = scale.pick(20.0, 4.0), scale.pick(10.0, 3.0)
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(servers.directory())
        redis, postgres = stack.enter_context(servers.redis_server()), stack.enter_context(servers.postgres_server())
        environments = _environments(directory, redis, postgres)
        worker = ("celery", "-A", "bench.sites.peers_celery", "worker", "-P", "solo", "-l", "warning")
        stack.enter_context(running(*worker, environment=environments[DHC]))
        stack.enter_context(running("monitor", "worker", environment=environments[OURS]))
        stack.enter_context(running("monitor", "beat", environment=environments[OURS]))
        with _all(environments) as targets:
            healthy = in_turns(targets, rounds=scale.pick(5, 1), seconds=scale.pick(6, 3))
        frozen = {
            what: {
                name: _frozen(name, environments[name], what, redis, postgres, seconds, timeout_seconds)
                for name in environments
            }
            for what in ("PostgreSQL", "Redis", "both")
        }
    method = METHOD.format(rate=_RATE, seconds=seconds, timeout=timeout_seconds)
    return _report(method, healthy, frozen)


def _environments(directory: Path, redis: RedisServer, postgres: PostgresServer) -> dict[str, dict[str, str]]:
    peers = {
        "DJANGO_SETTINGS_MODULE": "bench.sites.peers",
        "BENCH_REDIS_URL": redis.url,
        "BENCH_DATABASE_URL": postgres.url,
        "BENCH_MEDIA_ROOT": str(directory),
        "MONITOR_REDIS_URL": redis.url,
    }
    ours = rosters.environment(directory, redis.url, _ROSTER, database_url=postgres.url)
    return {OURS: ours, **dict.fromkeys(_PATHS, peers)}


@contextlib.contextmanager
def _all(environments: Mapping[str, Mapping[str, str]]) -> Iterator[dict[str, Served]]:
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(_one(name, environment)) for name, environment in environments.items()}


def _one(name: str, environment: Mapping[str, str]) -> contextlib.AbstractContextManager[Served]:
    if name == OURS:
        return servers.web(environment)
    application = ("bench.serve", "bench.sites.django_wsgi:application")
    return serving(*application, path=_PATHS[name], environment={**os.environ, **environment})


def _frozen(
    name: str,
    environment: Mapping[str, str],
    what: str,
    redis: RedisServer,
    postgres: PostgresServer,
    seconds: float,
    timeout_seconds: float,
) -> Load:
    """One server under load while ``what`` stands still, from the moment it is frozen."""
    with _one(name, environment) as served, servers.freezer() as freezer:
        _freeze(freezer, what, redis, postgres)
        with LoadProcess(
            served.url, per_second=_RATE, seconds=seconds, fresh=True, timeout_seconds=timeout_seconds
        ) as process:
            load = process.wait()
    with _one(name, environment):
        return load  # a new server that says all is well: the next measurement starts from health


def _freeze(freezer: Freezer, what: str, redis: RedisServer, postgres: PostgresServer) -> None:
    if what != "Redis":
        freezer.freeze(postgres.pid, children=True)
    if what != "PostgreSQL":
        freezer.freeze(redis.pid)


def _report(method: str, healthy: Mapping[str, Throughput], frozen: Mapping[str, Mapping[str, Load]]) -> Report:
    first = Table("Healthy", ("", "requests/s", "p50 ms", "p99 ms", "ready is x times as fast", "refused"))
    ours = healthy[OURS].per_second
    for name, one in healthy.items():
        first.add(name, one.per_second, one.p50_ms, one.p99_ms, ours / one.per_second, str(one.refused))
    tables = [first]
    for what, loads in frozen.items():
        table = Table(f"{what} frozen", ("", "requests", "unanswered", "p50 ms", "max ms", "answers"))
        for name, load in loads.items():
            answers = ", ".join(f"{count} x {status}" for status, count in sorted(load.statuses.items())) or "none"
            table.add(
                name, str(len(load)), str(len(load.failures)), load.percentile(50), _longest_answer(load), answers
            )
        tables.append(table)
    worst = max(loads[OURS].max_ms for loads in frozen.values())
    claims = [
        Claim("ready against django-health-check", ours / healthy[DHC].per_second, "at least", 50),
        Claim("our longest answer while anything is frozen", worst, "at most", 100, "ms"),
    ]
    without = ours / healthy[DHC_THREE].per_second
    note = f"ready against django-health-check without its Celery check: {without:.0f} x"
    return Report("peers", method, tables, claims, [note])


def _longest_answer(load: Load) -> float:
    return max((sample.latency_ms for sample in load.samples if sample.status is not None), default=float("inf"))
