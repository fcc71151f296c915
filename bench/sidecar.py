"""The sidecar without Redis against the usual roles: memory, time to the first answer, and answers in bad times."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from subprocess import Popen

import psutil

from bench import servers
from bench.processes import cpu_seconds, running, status_of, wait_for
from bench.report import Claim, Report, Table, number, percentile
from bench.scale import Scale
from tests.support.kafka_server import KafkaServer
from tests.support.processes import free_port

METHOD = (
    "A Kafka 4 of one node, and one check `kafka_group` of a group of {partitions} partitions, by default every 10 s: "
    "as `monitor sidecar` without Redis, and as worker, beat and web on a Redis of their own. {rounds} rounds; in each "
    "of them both are started, one after the other. Times are from the start of their processes to the first answer "
    "of the server, and to the first that has the check's result. Memory is the proportional set size (PSS) of all "
    "their processes, shared pages counted once, {settle} s after that; Redis apart. Last, a sidecar is asked {rate} "
    "times a second, on a new connection each time as the kubelet does, for {seconds} s while the broker answers, and "
    "as long while it is frozen (SIGSTOP) and the check runs every second. After each request to it the same goes to "
    "`python -m http.server`, which shows what the machine is worth meanwhile."
)
PARTITIONS = 6
GROUP = "bench"
RATE = 50
SETTLE_SECONDS = 12.0
"""The check runs once more in this time."""


@dataclass
class Cost:
    """Of a way to run it, a number for each round."""

    first: list[float] = field(default_factory=list)
    result: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    processes: int = 0
    cpu_percent: list[float] = field(default_factory=list)


def run(scale: Scale) -> Report:
    """Measure, in about four minutes (quick: half of one)."""
    rounds, seconds, settle = scale.pick(5, 1), scale.pick(30, 3), scale.pick(SETTLE_SECONDS, 2.0)
    sidecar, roles = Cost(), Cost()
    with _kafka() as kafka:
        for _ in range(rounds):
            with _sidecar(kafka) as (port, processes, started_at):
                _measure(sidecar, port, "/health", "/ready", processes, started_at, settle)
            with servers.redis_server() as redis, _roles(kafka, redis.url) as (port, processes, started_at):
                _measure(roles, port, servers.LIVE, servers.READY, processes, started_at, settle)
        quick = {"MONITOR_CHECKS__KAFKA__INTERVAL": "1s", "MONITOR_CHECKS__KAFKA__TIMEOUT": "900ms"}
        with _sidecar(kafka, quick) as (port, _, _), _bare() as bare_port:
            wait_for(lambda: _observed(port, "/ready"), what="a result")
            well = _answers(port, bare_port, seconds)
            kafka.freeze()
            wait_for(lambda: _ready(port).get("reason") == "timeout", what="the frozen broker is noticed")
            frozen = _answers(port, bare_port, seconds)
            kafka.thaw()
    method = METHOD.format(partitions=PARTITIONS, rounds=rounds, settle=f"{settle:g}", rate=RATE, seconds=seconds)
    return _report(method, sidecar, roles, well, frozen)


Times = tuple[list[float], list[float]]


def _report(method: str, sidecar: Cost, roles: Cost, well: Times, frozen: Times) -> Report:
    costs = Table(
        "Memory and start", ("", "processes", "PSS, MB", "first answer, s", "first result, s", "CPU, % of a core")
    )
    for name, cost in (("monitor sidecar", sidecar), ("worker, beat, web", roles)):
        times = median(cost.first), median(cost.result), median(cost.cpu_percent)
        costs.add(name, str(cost.processes), median(cost.megabytes), *times)
    answers = Table("Answers", ("", "answers", "p50 ms", "p99 ms", "slowest ms"))
    rows = {"/ready, the broker is well": well[0], "http.server meanwhile": well[1]}
    rows |= {"/ready, the broker is frozen": frozen[0], "http.server meanwhile, again": frozen[1]}
    for name, times_ms in rows.items():
        ordered = sorted(times_ms)
        answers.add(name, str(len(ordered)), median(ordered), percentile(ordered, 99), ordered[-1])
    claims = [
        Claim("memory of the sidecar, all of it", max(sidecar.megabytes), "at most", 150, "MB"),
        Claim("the first answer after its start, the slowest", max(sidecar.first), "at most", 3, "s"),
        Claim("the slowest answer while the broker is frozen", max(frozen[0]), "at most", 100, "ms"),
        Claim("memory against the usual roles", median(sidecar.megabytes) / median(roles.megabytes), "at most", 0.5),
    ]
    started = number(median(sidecar.first) / median(roles.first))
    return Report(
        "sidecar", method, [costs, answers], claims, [f"time to the first answer against the roles: {started} x"]
    )


def _measure(
    cost: Cost,
    port: int,
    alive: str,
    ready: str,
    processes: list[Popen[bytes]],
    started_at: float,
    settle_seconds: float,
) -> None:
    wait_for(lambda: status_of(port, alive) == 200, what=f"{alive} answers", process=processes[-1])
    cost.first.append(time.monotonic() - started_at)
    wait_for(lambda: _observed(port, ready), what=f"{ready} has a result", process=processes[-1])
    cost.result.append(time.monotonic() - started_at)
    used, began = sum(cpu_seconds(process.pid) for process in processes), time.monotonic()
    time.sleep(settle_seconds)
    spent = sum(cpu_seconds(process.pid) for process in processes) - used
    cost.cpu_percent.append(100 * spent / (time.monotonic() - began))
    tree = [each for process in processes for each in _tree(process.pid)]
    cost.processes = len(tree)
    cost.megabytes.append(sum(each.memory_full_info().pss for each in tree) / 1e6)


def _answers(port: int, bare_port: int, seconds: float) -> tuple[list[float], list[float]]:
    """Milliseconds that each answer of /ready took, and each of the bare server."""
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(int(seconds * RATE)):
        due = time.monotonic() + 1 / RATE
        for asked, path, times in ((port, "/ready", ours), (bare_port, "/", bare)):
            started = time.perf_counter()
            if status_of(asked, path) is None:
                raise RuntimeError(f"no answer of {path}")
            times.append((time.perf_counter() - started) * 1000)
        time.sleep(max(0.0, due - time.monotonic()))
    return ours, bare


def _observed(port: int, path: str) -> bool:
    """Whether the check was run: the bodies of both sorts have its numbers then."""
    body = _ready(port, path)
    check = body.get("checks", {}).get("kafka")
    return (check or body).get("age_ms") is not None


def _ready(port: int, path: str = "/ready") -> dict[str, object] | dict[str, dict[str, object]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", path)
        body: dict[str, object] = json.loads(connection.getresponse().read())
        return body
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    finally:
        connection.close()


def _tree(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


Started = tuple[int, list[Popen[bytes]], float]


@contextlib.contextmanager
def _sidecar(kafka: KafkaServer, more: Mapping[str, str] | None = None) -> Iterator[Started]:
    port, started_at = free_port(), time.monotonic()
    environment = {"KAFKA_BROKERS": kafka.bootstrap, "KAFKA_GROUP": GROUP, "BIND_HOST": "127.0.0.1", **(more or {})}
    with running("monitor", "sidecar", "--port", str(port), environment=environment) as process:
        yield port, [process], started_at


@contextlib.contextmanager
def _roles(kafka: KafkaServer, redis_url: str) -> Iterator[Started]:
    port = free_port()
    check = {"KIND": "kafka_group", "BROKERS": kafka.bootstrap, "CONSUMER_GROUPS": GROUP, "GROUPS": "ready"}
    environment = {f"MONITOR_CHECKS__KAFKA__{name}": value for name, value in check.items()}
    environment |= {"MONITOR_REDIS_URL": redis_url, "MONITOR_DEFAULT_CHECKS": "false"}
    with contextlib.ExitStack() as stack:
        start: Callable[..., Popen[bytes]] = lambda *role: stack.enter_context(  # noqa: E731
            running("monitor", *role, environment=environment)
        )
        started_at = time.monotonic()
        processes = [start("worker"), start("beat"), start("web", "--port", str(port))]
        yield port, processes, started_at


@contextlib.contextmanager
def _bare() -> Iterator[int]:
    port = free_port()
    with servers.directory() as empty:
        arguments = ("http.server", str(port), "--bind", "127.0.0.1", "--directory", str(empty))
        with running(*arguments) as process:
            wait_for(lambda: status_of(port, "/") == 200, what="the bare server answers", process=process)
            yield port


@contextlib.contextmanager
def _kafka() -> Iterator[KafkaServer]:
    kafka = KafkaServer()
    try:
        kafka.wait_for_coordinator()
        kafka.create_topic(GROUP, PARTITIONS)
        kafka.produce(GROUP, 60)
        kafka.commit(GROUP, {(GROUP, partition): 0 for partition in range(PARTITIONS)})
        yield kafka
    finally:
        kafka.thaw()
        kafka.stop()
