"""Start time and memory of each role: ``python -m bench.roles [--rounds N] [CHECKOUT...]``.

With several checkouts (each with a ``.venv`` of its own) they are measured in turn, round by round, so that what else
the machine does meanwhile falls on all of them alike.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median

import psutil
from rich.console import Console

from bench import machine, servers
from bench.processes import ROOT, end, status_of, wait_for
from bench.report import Claim, Report, Table
from bench.scale import Scale
from tests.support.processes import free_port
from tests.support.redis_server import RedisServer

METHOD = (
    "The default roster, on a Redis of its own for each start. {rounds} rounds, and one before that is not counted; in "
    "each of them every role of every checkout is started once. Start: from the process to the first sign that it "
    "works: the worker consumes its queue, beat has sent a task, the server answers. Modules are compiled before. "
    "Memory: the proportional set size (PSS) of the process and its children, shared pages counted once, {settle:g} s "
    "later; and of the process without the fork server and its check processes. Medians. The large project is the "
    "stand-in `tests/support/slow_projects/warehouse`: its settings import 18 libraries (2,100 modules) and a "
    "catalogue, together 209 MB, and `django.setup()` builds a GraphQL schema of 1,500 types; its package imports its "
    "Celery application. The slow project is the same without the libraries: its settings take 0.3 s to import, and "
    "its Celery application, which `MONITOR_CELERY_APP` names, takes {slow:g} s. A worker with it has run before."
)
SETTLE_SECONDS = 4.0
SLOW_SECONDS = 30.0
ROLES = ("worker", "beat", "web")
COMMANDS = {"import of monitor.cli": ("-c", "import monitor.cli"), "monitor --help": ("-m", "monitor", "--help")}
PROJECT = "with a large project"
STATUS = "monitor status, slow project"
LARGE = {
    "DJANGO_SETTINGS_MODULE": "warehouse.settings",
    "WAREHOUSE_IMPORTS_APPLICATION": "1",
    "WAREHOUSE_IS_LARGE": "1",
}
SLOW = {
    "DJANGO_SETTINGS_MODULE": "warehouse.settings",
    "MONITOR_CELERY_APP": "warehouse.celery:app",
    "WAREHOUSE_SETTINGS_SECONDS": "0.3",
}
Cost = tuple[float, float, float]
Costs = dict[tuple[str, str], list[Cost]]


def main() -> None:
    """Measure and print; about 20 s for each role, round and checkout."""
    parser = argparse.ArgumentParser(prog="python -m bench.roles", description="Start time and memory of each role.")
    parser.add_argument("checkouts", nargs="*", type=Path, default=[ROOT], help="directories (default: this one)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slow-seconds", type=float, default=SLOW_SECONDS, help="import time of the slow application")
    options = parser.parse_args()
    checkouts = [path.resolve() for path in options.checkouts]
    console = Console(width=160)
    console.print(machine.describe(), highlight=False)
    _measure(checkouts, options.rounds, options.slow_seconds).show(console)


def run(scale: Scale) -> Report:
    """Measure this checkout. The baseline is the same role without a project."""
    return _measure([ROOT], 1 if scale.quick else 5, 5.0 if scale.quick else SLOW_SECONDS)


def _measure(checkouts: list[Path], rounds: int, slow_seconds: float) -> Report:
    costs: Costs = {}
    with servers.directory() as compiled:
        os.environ["PYTHONPYCACHEPREFIX"] = str(compiled)  # as pip compiles what it installs
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        for number, checkout in itertools.product(range(rounds + 1), checkouts):
            for name, cost in _round(checkout, slow_seconds if number else 1.0).items():
                if number:
                    costs.setdefault((name, str(checkout)), []).append(cost)
    first = str(checkouts[0])
    medians = {key: [median(values) for values in zip(*runs, strict=True)] for key, runs in costs.items()}
    columns = ("", "checkout", "runs", "start, ms", "PSS, MB", "without checks, MB", "PSS / baseline")
    table = Table("Start and memory", columns)
    for (name, where), values in sorted(medians.items(), key=lambda item: item[0][0]):
        baseline = medians[name, first] if len(checkouts) > 1 else medians.get((name.split(",")[0], where), values)
        table.add(name, where, str(len(costs[name, where])), *values, values[2] / baseline[2])
    claims = [
        Claim(
            f"{name}, {PROJECT}: memory",
            medians[f"monitor {name}, {PROJECT}", str(checkouts[-1])][2],
            "at most",
            wanted,
            "MB",
        )
        for name, wanted in (("beat", 70.0), ("worker", 120.0))
    ]
    claims.append(Claim(STATUS, medians[STATUS, str(checkouts[-1])][0] / 1000, "at most", 1.0, "s"))
    method = METHOD.format(rounds=rounds, settle=SETTLE_SECONDS, slow=slow_seconds)
    return Report("roles", method, [table], claims)


def _round(checkout: Path, slow_seconds: float) -> dict[str, Cost]:
    found = {name: _run(checkout, arguments) for name, arguments in COMMANDS.items()}
    found |= {f"monitor {role}": _start(checkout, role, {}) for role in ROLES}
    found |= {f"monitor {role}, {PROJECT}": _start(checkout, role, LARGE) for role in ROLES}
    return found | {STATUS: _status(checkout, {**SLOW, "WAREHOUSE_APPLICATION_SECONDS": str(slow_seconds)})}


def _run(checkout: Path, arguments: tuple[str, ...], environment: Mapping[str, str] | None = None) -> Cost:
    """Return the milliseconds that a command took; nothing is known of its memory."""
    began = time.perf_counter()
    subprocess.run(
        [_python(checkout), *arguments],
        cwd=checkout,
        env={**os.environ, **(environment or {})},
        check=environment is None,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return (time.perf_counter() - began) * 1000, float("nan"), float("nan")


def _start(checkout: Path, role: str, project: Mapping[str, str]) -> Cost:
    """Return the milliseconds until a role worked, and the megabytes of its processes some seconds later."""
    port = free_port()
    with servers.redis_server() as redis, redis.client() as client, servers.directory() as data_dir:
        works: dict[str, Callable[[], object]] = {
            "worker": lambda: client.exists("_kombu.binding.monitor"),
            "beat": lambda: client.llen("monitor.dispatch"),
            "web": lambda: status_of(port, servers.LIVE) == 200,
        }
        began = time.perf_counter()
        with _role(checkout, role, port, _environment(redis, data_dir, project)) as process:
            wait_for(works[role], what=f"{role} of {checkout}", process=process, seconds=120)
            milliseconds = (time.perf_counter() - began) * 1000
            time.sleep(SETTLE_SECONDS)
            return milliseconds, *_memory(psutil.Process(process.pid))


def _status(checkout: Path, project: Mapping[str, str]) -> Cost:
    """Return the milliseconds of `monitor status` while a worker runs that has imported the slow application."""
    with servers.redis_server() as redis, redis.client() as client, servers.directory() as data_dir:
        environment = _environment(redis, data_dir, project)
        with _role(checkout, "worker", 0, environment) as process:
            wait_for(
                lambda: client.exists("_kombu.binding.monitor"),
                what=f"worker of {checkout}",
                process=process,
                seconds=180,
            )
            return _run(checkout, ("-m", "monitor", "status"), environment)


def _environment(redis: RedisServer, data_dir: Path, project: Mapping[str, str]) -> dict[str, str]:
    own = {"MONITOR_REDIS_URL": redis.url} if not project else {"WAREHOUSE_BROKER_URL": redis.url}
    path = str(ROOT / "tests" / "support" / "slow_projects")
    return {"MONITOR_DATA_DIR": str(data_dir), "PYTHONPATH": path, **own, **project}


def _memory(process: psutil.Process) -> tuple[float, float]:
    """Return the megabytes of a process and its children, and those without the fork server and its children."""
    tree = [process, *process.children(recursive=True)]
    fork_servers = [each for each in tree if any("fork_server" in argument for argument in each.cmdline())]
    sizes = {each.pid: each.memory_full_info().pss / 1e6 for each in tree}
    checks = {pid for server in fork_servers for pid in (server.pid, *(c.pid for c in server.children(recursive=True)))}
    return sum(sizes.values()), sum(size for pid, size in sizes.items() if pid not in checks)


@contextlib.contextmanager
def _role(checkout: Path, role: str, port: int, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [_python(checkout), "-m", "monitor", role, *(("--port", str(port)) if role == "web" else ())],
        cwd=checkout,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        end(process)


def _python(checkout: Path) -> str:
    return str(checkout / ".venv" / "bin" / "python")


if __name__ == "__main__":
    main()
