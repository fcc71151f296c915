"""`monitor probe worker` against `celery inspect ping`: what a liveness probe of a worker costs, every few seconds."""

from __future__ import annotations

import itertools
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median

from bench import instrumented, servers
from bench.processes import ROOT, cpu_seconds
from bench.report import Claim, Report, Table, number, percentile
from bench.scale import Scale

METHOD = (
    "One worker with the agent, idle, on a Redis of its own. {rounds} rounds; in each of them every command is run "
    "{times} times, one after the other, as the kubelet would: a process of its own each time, waited for. CPU time is "
    "that of the process (user and system). Ours is run with compiled bytecode, as pip leaves every installed package, "
    "Celery among them. The ping has an application with one task, and nothing of Django. Last column: what worker and "
    "Redis spend meanwhile, for each probe."
)
_NODE = "worker@bench"
_OURS = "monitor probe worker"
_NAMED = "monitor probe worker --name NODE"
_BARE = "python -c pass"
_PING = "celery inspect ping -d NODE"


@dataclass
class Cost:
    """Of single runs, in milliseconds; ``others`` is the CPU time of the worker and Redis, over all of them."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    others: float = 0.0


def run(scale: Scale) -> Report:
    """Measure, in about a minute (quick: 15 s)."""
    rounds, times = scale.pick(10, 2), {_OURS: 10, _NAMED: 10, _BARE: 10, _PING: 2}
    with servers.directory() as directory, servers.redis_server() as redis:
        environment = instrumented.environment(redis, directory / "pulses", agent=True)
        compiled = {**os.environ, **environment, "PYTHONPYCACHEPREFIX": str(directory / "pycache")}
        compiled.pop("PYTHONDONTWRITEBYTECODE", None)
        commands = _commands()
        costs = {name: Cost() for name in commands}
        with instrumented.worker(redis, _NODE, environment) as worker:
            for command in commands.values():
                _measure(command, compiled)  # compiles, and is not counted
            for _, (name, command) in itertools.product(range(rounds), commands.items()):
                before = cpu_seconds(worker.pid) + cpu_seconds(redis.pid)
                for _ in range(times[name]):
                    cpu, wall = _measure(command, compiled)
                    costs[name].cpu.append(cpu)
                    costs[name].wall.append(wall)
                costs[name].others += (cpu_seconds(worker.pid) + cpu_seconds(redis.pid) - before) * 1000
    return _report(costs, METHOD.format(rounds=rounds, times=f"{times[_OURS]} (the ping {times[_PING]})"))


def _commands() -> dict[str, list[str]]:
    scripts = Path(sys.executable).parent
    ours = [str(scripts / "monitor"), "probe", "worker"]
    return {
        _OURS: ours,
        _NAMED: [*ours, "--name", _NODE],
        _BARE: [sys.executable, "-c", "pass"],
        _PING: [str(scripts / "celery"), "-A", instrumented.APP, "inspect", "ping", "-d", _NODE],
    }


def _measure(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """CPU and wall time of one run, which must succeed, in milliseconds."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000, wall * 1000


def _report(costs: dict[str, Cost], method: str) -> Report:
    table = Table(
        "One probe",
        ("", "runs", "CPU ms, mean", "CPU ms, p50", "x ours", "wall ms, p50", "wall ms, p95", "of others, CPU ms"),
    )
    ours = mean(costs[_OURS].cpu)
    for name, cost in costs.items():
        cpu, wall = sorted(cost.cpu), sorted(cost.wall)
        figures = (mean(cpu), median(cpu), mean(cpu) / ours, median(wall), percentile(wall, 95))
        table.add(name, str(len(cpu)), *figures, cost.others / len(cpu))
    ping, named = mean(costs[_PING].cpu), mean(costs[_NAMED].cpu)
    everywhere = _altogether(costs[_PING]) / _altogether(costs[_OURS])
    walls = sorted([*costs[_OURS].wall, *costs[_NAMED].wall])
    claims = [
        Claim("CPU time of a ping against ours", ping / ours, "at least", 40),
        Claim("the same with --name", ping / named, "at least", 40),
        Claim("the same with what worker and Redis spend", everywhere, "at least", 40),
        Claim("wall time of ours, p95", percentile(walls, 95), "at most", 60, "ms"),
    ]
    bare = mean(costs[_BARE].cpu)
    note = f"an interpreter that does nothing takes {number(bare / ours)} times as long: ours leaves without tidying up"
    return Report("worker_probe", method, [table], claims, [note])


def _altogether(cost: Cost) -> float:
    return mean(cost.cpu) + cost.others / len(cost.cpu)
