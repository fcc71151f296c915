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
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import psutil
from rich.console import Console

from bench import machine, servers
from bench.processes import ROOT, end, status_of, wait_for
from bench.report import Report, Table
from tests.support.processes import free_port
from tests.support.redis_server import RedisServer

METHOD = (
    "The default roster, on a Redis of its own for each start. {rounds} rounds, and one before that is not counted; in "
    "each of them every role of every checkout is started once. Start: from the process to the first sign that it "
    "works: the worker consumes its queue, beat has sent a task, the server answers. Modules are compiled before. "
    "Memory: the proportional set size (PSS) of the process and its children, shared pages counted once, {settle:g} s "
    "later. Medians."
)
SETTLE_SECONDS = 4.0
ROLES = ("worker", "beat", "web")
COMMANDS = {"import of monitor.cli": ("-c", "import monitor.cli"), "monitor --help": ("-m", "monitor", "--help")}
Costs = dict[tuple[str, str], list[tuple[float, float]]]


def main() -> None:
    """Measure and print; about 8 s for each role, round and checkout."""
    parser = argparse.ArgumentParser(prog="python -m bench.roles", description="Start time and memory of each role.")
    parser.add_argument("checkouts", nargs="*", type=Path, default=[ROOT], help="directories (default: this one)")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    checkouts = [path.resolve() for path in options.checkouts]
    costs: Costs = {}
    with servers.directory() as compiled:
        os.environ["PYTHONPYCACHEPREFIX"] = str(compiled)  # as pip compiles what it installs
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        for number, checkout in itertools.product(range(options.rounds + 1), checkouts):
            found = {name: _run(checkout, arguments) for name, arguments in COMMANDS.items()}
            found |= {f"monitor {role}": _start(checkout, role) for role in ROLES}
            for name, cost in found.items() if number else ():
                costs.setdefault((name, str(checkout)), []).append(cost)
    table = Table("Start and memory", ("", "checkout", "runs", "start, ms", "PSS, MB"))
    for (name, where), runs in sorted(costs.items(), key=lambda item: item[0][0]):
        table.add(name, where, str(len(runs)), *(median(values) for values in zip(*runs, strict=True)))
    console = Console(width=140)
    console.print(machine.describe(), highlight=False)
    Report("roles", METHOD.format(rounds=options.rounds, settle=SETTLE_SECONDS), [table]).show(console)


def _run(checkout: Path, arguments: tuple[str, ...]) -> tuple[float, float]:
    """Return the milliseconds that a command took; nothing is known of its memory."""
    began = time.perf_counter()
    subprocess.run([_python(checkout), *arguments], cwd=checkout, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000, float("nan")


def _start(checkout: Path, role: str) -> tuple[float, float]:
    """Return the milliseconds until a role worked, and the megabytes of its processes some seconds later."""
    port = free_port()
    with servers.redis_server() as redis, redis.client() as client:
        works: dict[str, Callable[[], object]] = {
            "worker": lambda: client.exists("_kombu.binding.monitor"),
            "beat": lambda: client.llen("monitor.dispatch"),
            "web": lambda: status_of(port, servers.LIVE) == 200,
        }
        began = time.perf_counter()
        with _role(checkout, role, port, redis) as process:
            wait_for(works[role], what=f"{role} of {checkout}", process=process)
            milliseconds = (time.perf_counter() - began) * 1000
            time.sleep(SETTLE_SECONDS)
            tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            return milliseconds, sum(each.memory_full_info().pss for each in tree) / 1e6


@contextlib.contextmanager
def _role(checkout: Path, role: str, port: int, redis: RedisServer) -> Iterator[subprocess.Popen[bytes]]:
    with servers.directory() as data_dir:
        environment = {**os.environ, "MONITOR_REDIS_URL": redis.url, "MONITOR_DATA_DIR": str(data_dir)}
        process = subprocess.Popen(
            [_python(checkout), "-m", "monitor", role, *(("--port", str(port)) if role == "web" else ())],
            cwd=checkout,
            env=environment,
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
