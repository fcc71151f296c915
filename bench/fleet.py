"""What 1,000 workers on 50 queues cost: the rounds that ask and judge them, Redis, and the page that shows them."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from bench import instrumented, rosters, servers
from bench.processes import cpu_seconds, running, wait_for
from bench.report import Claim, Report, Table, number, percentile
from bench.scale import Scale

METHOD = (
    "{workers:,} workers on {queues} queues are simulated on a real Redis: their beacons are written by the agent's "
    "own script before each round, their heartbeats are taken out of the queues and recorded by its other script after "
    "it. The rounds are the monitor's own, two in an interval of {interval:g} s: one sends a heartbeat to each worker "
    "and each queue, both judge all of them and store it. Everything is done in turn, so that what each costs is told "
    "apart: CPU time of the monitor's process, CPU time and commands of Redis (INFO; those within scripts included); "
    "medians of {rounds} rounds. What real workers spend is measured with a real one, over {heartbeats:,} heartbeats. "
    "`/api/health/workers/` is asked for on `monitor web` meanwhile, after pauses, so that no kept page answers."
)
_WORKERS = "/api/health/workers/"
_PAUSE_SECONDS = 1.1  # a page is kept for at most a second
_SETTLING = 6  # queues are learned, workers start, states are made
_FIGURES = ("cpu", "redis", "commands", "wall")

Line = Mapping[str, Any]


def run(scale: Scale) -> Report:
    """Measure, in about 3 minutes (quick: 1 minute)."""
    workers, queues, interval = scale.pick((1000, 50, 10.0), (100, 5, 4.0))
    rounds, pages, heartbeats = scale.pick((16, 30, 2000), (4, 5, 200))
    with servers.directory() as directory:
        with _simulated(directory, workers, queues, interval) as (read, environment):
            lines = read(rounds)
            with servers.web(environment, servers.DETAILED) as served:
                rendered, size = _ask(served.url.removesuffix(servers.DETAILED) + _WORKERS, pages)
        real = _real(directory, heartbeats)
    method = METHOD.format(workers=workers, queues=queues, interval=interval, rounds=rounds, heartbeats=heartbeats)
    return _report(method, lines, real, rendered, size)


@contextmanager
def _simulated(
    directory: Path, workers: int, queues: int, interval: float
) -> Iterator[tuple[Callable[[int], list[Line]], dict[str, str]]]:
    """The simulated fleet: what reads so many of its rounds, and the monitor's environment."""
    file = directory / "rounds"
    file.touch()
    with servers.redis_server() as redis:
        environment = rosters.environment(directory, redis.url, f"[workers]\ninterval = {interval:g}\n")
        command = ("bench.simulated_fleet", str(workers), str(queues), str(file))
        with running(*command, environment=environment) as process:

            def read(count: int) -> list[Line]:
                wanted = count + _SETTLING
                wait_for(
                    lambda: file.read_text().count("\n") >= wanted,
                    what=f"{wanted} rounds",
                    seconds=wanted * max(interval, 10),
                    process=process,
                )
                lines = [json.loads(line) for line in file.read_text().splitlines()[_SETTLING:wanted]]
                if any(line["sent"] not in (0, workers + queues) for line in lines):
                    raise RuntimeError(f"not all were asked: {lines}")
                if lines[-1]["outcomes"].get("consuming") != workers:
                    raise RuntimeError(f"not all are well: {lines[-1]}")
                return lines

            yield read, environment


def _ask(url: str, pages: int) -> tuple[list[float], int]:
    """Milliseconds of requests that find no kept page, in order of size; bytes of an answer."""
    taken, size = [], 0
    for _ in range(pages):
        time.sleep(_PAUSE_SECONDS)
        started = time.perf_counter()
        with urllib.request.urlopen(urllib.request.Request(url, headers=rosters.AUTHORIZED), timeout=5) as answer:
            size = len(answer.read())
        taken.append((time.perf_counter() - started) * 1000)
    return sorted(taken), size


def _real(directory: Path, count: int) -> tuple[float, float]:
    """Redis' commands, and milliseconds of its CPU time, for one heartbeat that a real worker takes and executes."""
    node = "worker@bench"
    with servers.redis_server() as redis, redis.client() as client:
        environment = instrumented.environment(redis, directory / "pulses", agent=True)
        with instrumented.worker(redis, node, environment) as process:
            for number_of_them in (10, count):  # the first ones open connections
                heartbeats = instrumented.heartbeats(redis, client, node, number_of_them)
                client.config_resetstat()
                before = cpu_seconds(redis.pid)
                heartbeats.release()
                wait_for(heartbeats.are_executed, what="all are executed", seconds=300, process=process)
            return instrumented.commands(client) / count, (cpu_seconds(redis.pid) - before) * 1000 / count


def _report(method: str, lines: Sequence[Line], real: tuple[float, float], rendered: list[float], size: int) -> Report:
    sending, judging = [line for line in lines if line["sent"]], [line for line in lines if not line["sent"]]
    phases = {
        "a round that sends, judges and stores": _middle(sending, "round"),
        "a round that judges and stores": _middle(judging, "round"),
        "the beacons before a round": _middle(lines, "beacons"),
    }
    table = Table("Of all workers together", ("", "CPU s", "of Redis, CPU s", "commands", "seconds"))
    for name, spent in phases.items():
        table.add(name, *(spent[figure] for figure in _FIGURES))
    sent = sending[0]["sent"]
    table.add(
        "real workers execute their heartbeats", float("nan"), sent * real[1] / 1000, sent * real[0], float("nan")
    )
    whole, judged, beacons = phases.values()
    interval = whole["commands"] + judged["commands"] + 2 * beacons["commands"] + sent * real[0]
    claims = [
        Claim("a round that sends: CPU time of monitor and Redis", whole["cpu"] + whole["redis"], "at most", 2, "s"),
        Claim("its commands", whole["commands"], "at most", 25_000, ""),
        Claim("with the beacons before it", whole["commands"] + beacons["commands"], "at most", 25_000, ""),
        Claim("/api/health/workers/, slowest answer", rendered[-1], "at most", 100, "ms"),
    ]
    notes = [
        f"all of an interval, with two rounds, two beacons and heartbeats executed: {number(interval)} commands, "
        f"of which {number(real[0])} for each heartbeat that a real worker executes",
        f"/api/health/workers/: p50 {number(percentile(rendered, 50))} ms, {number(size / 1000)} kB",
    ]
    return Report("fleet", method, [table], claims, notes)


def _middle(lines: Sequence[Line], phase: str) -> dict[str, float]:
    return {figure: median(line["spent"][phase][figure] for line in lines) for figure in _FIGURES}
