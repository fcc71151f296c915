"""What the past costs: bytes of samples and roll-ups, time of a write, time of a query."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from random import Random
from statistics import median

import redis as redis_py

from bench import servers
from bench.processes import cpu_seconds
from bench.report import Claim, Report, Table, number
from bench.scale import Scale
from demo.history import HistoryWriter
from monitor import policy
from monitor.config import CheckSpec
from monitor.history.rollups import empty_day, replace_hours
from monitor.history.samples import DAY_SECONDS, Sample, gather
from monitor.history.series import Span
from monitor.model.checks import Outcome, Status
from monitor.presentation.history import curves_document, overview_document, read_curves, uptime_document
from monitor.store.redis.store import RedisStore
from monitor.store.retention import HistoryKeys, Retention
from tests.support.redis_server import RedisServer

METHOD = (
    "Samples of {checks} checks every {interval} s for 24 h, {samples:,} in all, with two numbers each, go through the "
    "batch twin of the commit script and then the task that packs them, on a real Redis with a raised budget. "
    "Bytes are real `MEMORY USAGE` of all keys of history, with their index. Roll-ups of 90 days are made by the same "
    "code of seven days' samples. Among 10 and 1,000 checks most are copies of these. A query is all that a request "
    "does behind its authorisation: read, decode, resample, encode as JSON; CPU and waiting, medians of {times}, "
    "and as a ratio to the median of reading one check's state in the same run. A write is a whole update of a state "
    "by its flight, with history and without, in turns."
)
INTERVAL = 10
DAYS = 90
UNLIMITED = 10**12
SPANS = {"24h": 86_400.0, "7d": 7 * 86_400.0, "30d": 30 * 86_400.0, "90d": 90 * 86_400.0}


def run(scale: Scale) -> Report:
    """Measure, in about 5 minutes (quick: half a minute)."""
    counts, checks, every = scale.pick(((10, 100, 1000), 100, 10), ((2, 10), 10, 60))
    times = scale.pick(30, 3)
    columns = ("checks", "24 h by the minute", "90 days", "overview", "uptime of all", "state", "24 h / state")
    queries = Table("Queries, ms", columns)
    claims: list[Claim] = []
    for count in counts:
        with servers.redis_server() as server:
            store = RedisStore(server.url, prefix="b:", retention=Retention(budget_bytes=UNLIMITED))
            now = store.states.now()
            loaded = checks if count == checks else min(count, 5)
            spent = _load(store, server, [f"check-{n}" for n in range(loaded)], now, every)
            _copy(server, loaded, count)
            with server.client() as client:
                raw = _bytes(client, "b:raw:*", "b:blocks:raw", "b:open*") / (count * DAY_SECONDS / every)
                _place_rollups(server, [f"check-{n}" for n in range(count)], now)
                roll = _bytes(client, "b:roll:*", "b:blocks:roll") / (count * DAYS * 288)
            figures = _queries(store, count, now, times)
            queries.add(f"{count:,}", *figures.values(), figures["day"] / figures["state"])
            if count == checks:
                sizes, claims = _sizes(raw, roll, spent, checks * DAY_SECONDS // every), _claims(raw, figures)
    with servers.redis_server() as server:
        writes, ratio = _writes(server, scale.pick(2000, 100))
    claims.append(Claim("a write with history against one without", ratio, "at most", 1.15))
    method = METHOD.format(checks=checks, interval=every, samples=checks * DAY_SECONDS // every, times=times)
    return Report("history: what the past costs", method, [sizes, queries, writes], claims)


def _load(store: RedisStore, server: RedisServer, names: list[str], now: float, every: int) -> float:
    """A day up to now, packed; CPU seconds of Redis."""
    spent, writer = cpu_seconds(server.pid), _writer(server)
    for name in names:
        writer.add(name, _past(name, now - DAY_SECONDS, now, every))
    store.history.compact(now)
    return cpu_seconds(server.pid) - spent


def _past(name: str, begun: float, until: float, every: int) -> Iterator[Sample]:
    """Times that jitter by milliseconds, numbers as a database and a CPU have them, now and then an error."""
    chance, at, load, down = Random(name), begun, 40.0, 0
    while at < until:
        load = min(100.0, max(0.0, load + chance.gauss(0, 4)))
        down = max(0, down - 1) or (chance.randrange(3, 30) if chance.random() < 0.001 else 0)
        moment = round(at + chance.random() * 0.02, 6)
        series = {"response_time_ms": round(chance.lognormvariate(1.5, 0.4), 3), "percent": round(load, 1)}
        status, reason = (Status.ERROR, "timeout") if down else (Status.OK, None)
        yield Sample(moment, status, moment + 3 * every, reason, series)
        at += every


def _copy(server: RedisServer, loaded: int, count: int) -> None:
    """The first checks' blocks under more names."""
    names = HistoryKeys.of("b:")
    with server.client() as client:
        for index, kind in ((names.raw, "raw"), (names.roll, "roll")):
            members = client.zrange(index, 0, -1, withscores=True)
            with client.pipeline(transaction=False) as pipe:
                for number_of_check in range(loaded, count):
                    for member, score in members:
                        check, _, at = member.decode().rpartition("|")
                        if check == f"check-{number_of_check % loaded}":
                            pipe.copy(f"b:{kind}:{check}:{at}", f"b:{kind}:check-{number_of_check}:{at}")
                            pipe.zadd(index, {f"check-{number_of_check}|{at}": score})
                pipe.execute()


def _place_rollups(server: RedisServer, checks: list[str], now: float) -> None:
    """Ninety days of roll-ups for each check, but for today and the day before, which are made of samples."""
    today, writer = int(now // DAY_SECONDS), _writer(server)
    for day in range(today - DAYS, today - 1):
        start = day * DAY_SECONDS
        past = _past(f"day-{day % 7}", float(start), float(start + DAY_SECONDS), 30)
        writer.add_day(replace_hours(empty_day(start), gather(past)), checks)


def _writer(server: RedisServer) -> HistoryWriter:
    return HistoryWriter(redis_py.Redis.from_url(server.url), "b:", Retention(budget_bytes=UNLIMITED))


def _bytes(client: redis_py.Redis, *patterns: str) -> int:
    keys = [key for pattern in patterns for key in client.scan_iter(pattern, count=10_000)]
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.memory_usage(key, samples=0)
        return sum(size or 0 for size in pipe.execute())


def _queries(store: RedisStore, count: int, now: float, times: int) -> dict[str, float]:
    history, checks = store.history, {f"check-{n}": ("percent",) for n in range(count)}
    asked: Mapping[str, Callable[[], object]] = {
        "day": lambda: curves_document("check-1", *read_curves(history, "check-1", Span(now - DAY_SECONDS, now, 60))),
        "ninety": lambda: curves_document(
            "check-1", *read_curves(history, "check-1", Span(now - DAYS * DAY_SECONDS, now))
        ),
        "overview": lambda: overview_document(history, checks, now - DAY_SECONDS, now, count=48),
        "uptime": lambda: uptime_document(history, checks, SPANS, now, day_count=DAYS),
        "state": lambda: store.states.read(["check-1"]).read_at,
    }
    answer = read_curves(history, "check-1", Span(now - DAY_SECONDS, now, 60))[0]
    if answer.scale.resolution != "raw" or sum(status is not None for status in answer.status) < 1400:
        raise RuntimeError(f"not a day: {answer.scale}, {answer.status}")
    return {
        name: _milliseconds(lambda ask=ask: json.dumps(ask()), max(3, times // 10) if count > 100 else times)  # type: ignore[misc]
        for name, ask in asked.items()
    }


def _milliseconds(action: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        taken.append((time.perf_counter() - started) * 1000)
    return median(taken)


def _writes(server: RedisServer, times: int) -> tuple[Table, float]:
    spec = CheckSpec(name="db", kind="python", interval=10)
    stores = {
        name: RedisStore(server.url, prefix=f"{name}:", retention=Retention(enabled=name == "with"))
        for name in ("with", "without")
    }
    taken: dict[str, list[float]] = {name: [] for name in stores}
    spent = dict.fromkeys(stores, 0.0)
    for turn in range(times):
        for name, store in stores.items():
            flight = store.states.take("db", uuid.uuid4().hex, lease_seconds=5)
            outcome = Outcome(Status.OK, {"percent": turn / 8}, series=("percent",))
            result = policy.as_result(spec, flight, outcome, 1.234)
            before, started = cpu_seconds(server.pid), time.perf_counter()
            store.states.update(flight, lambda state, result=result: policy.advance(state, result, spec))  # type: ignore[misc]
            taken[name].append((time.perf_counter() - started) * 1e6)
            spent[name] += cpu_seconds(server.pid) - before
    table = Table("A write", ("an update of a state", "µs", "CPU of Redis, µs"))
    for name, values in taken.items():
        table.add(f"{name} history", median(values), spent[name] / times * 1e6)
    return table, median(taken["with"]) / median(taken["without"])


def _sizes(raw: float, roll: float, spent: float, samples: int) -> Table:
    table = Table("What is kept", ("", "bytes"))
    table.add("a sample, with its share of block, key and index", raw)
    table.add("a bucket of five minutes, with the same", roll)
    table.add(f"a day of {number(samples)} samples", raw * samples)
    table.add("Redis' CPU time to take and pack a sample, µs", spent / samples * 1e6)
    return table


def _claims(raw: float, figures: Mapping[str, float]) -> list[Claim]:
    return [
        Claim("a sample", raw, "at most", 64, "bytes"),
        Claim("24 h of one check at a step of a minute", figures["day"], "at most", 20, "ms"),
        Claim("90 days of one check", figures["ninety"], "at most", 50, "ms"),
        Claim("the overview of all checks", figures["overview"], "at most", 150, "ms"),
    ]
