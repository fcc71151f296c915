"""Our fork server against that of `multiprocessing`, for decision 1: ``python -m bench.fork_servers``.

Both import the kinds of the default roster once and fork eight processes, each of which runs one check. Medians of five
runs in turns, each in a process of its own that stands in for the worker.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import psutil

from bench import machine
from monitor.checks import process
from monitor.config import CheckSpec
from monitor.executor import ProcessExecutor

KINDS = ("celery", "connections", "cpu", "database", "disk", "memory", "python", "redis")
TARGET = "monitor.checks.process"
PROCESSES = 8
ROUNDS = 5
WAYS = ("ours", "multiprocessing")


def main() -> None:
    """Print the medians as a table; with an argument, be the worker of one run."""
    if sys.argv[1:]:
        _worker(sys.argv[1], stays=sys.argv[2:] == ["stays"])
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way in WAYS:
            found[way].append(json.loads(_run(way)))
    left = {way: _left_after_a_kill(way) for way in WAYS}
    print(machine.describe())
    for name in found["ours"][0]:
        print(name, *(f"{way} {median(run[name] for run in runs):.1f}" for way, runs in found.items()), sep=" | ")
    print(
        "processes left 3 s after SIGKILL of the worker", *(f"{way} {count}" for way, count in left.items()), sep=" | "
    )


def _run(way: str) -> str:
    command = [sys.executable, "-m", "bench.fork_servers", way]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _worker(way: str, *, stays: bool) -> None:
    """Start the server, have processes run a check each at the same time, and print what it took."""
    started = time.perf_counter()
    run: Callable[[float], Any] = _ours() if way == "ours" else _multiprocessing()
    run(0.0)
    first_ms = 1000 * (time.perf_counter() - started)
    started = time.perf_counter()
    run(0.0)
    again_ms = 1000 * (time.perf_counter() - started)
    seconds = 60.0 if stays else 1.5
    threads = [threading.Thread(target=run, args=(seconds,), daemon=True) for _ in range(PROCESSES)]
    for thread in threads:
        thread.start()
    time.sleep(0.75)
    family = psutil.Process().children(recursive=True)
    if stays:
        print(json.dumps([child.pid for child in family]), flush=True)
        time.sleep(60)
    pss = [child.memory_full_info().pss / 1e6 for child in family]
    print(
        json.dumps({"first check ms": first_ms, "second check ms": again_ms, "processes": len(pss), "PSS MB": sum(pss)})
    )
    sys.stdout.flush()
    for child in family:
        child.kill()
    os._exit(0)


def _ours() -> Callable[[float], Any]:
    executor = ProcessExecutor(TARGET, required=KINDS)
    return lambda seconds: executor.run(_check(seconds))


def _check(seconds: float) -> CheckSpec:
    options = {"path": "bench.fork_servers:wait", "arguments": {"seconds": seconds}}
    return CheckSpec(name="wait", kind="python", options=options, interval=200, timeout=90)


def _multiprocessing() -> Callable[[float], Any]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bench.fork_servers_preload"])

    def run(seconds: float) -> Any:
        ours, theirs = context.Pipe()
        child = context.Process(target=answer, args=(theirs, seconds), daemon=True)
        child.start()
        return ours.recv()

    return run


def answer(connection: Any, seconds: float) -> None:
    """Run the check in a process of `multiprocessing`, and send what it found."""
    connection.send(process.run("python", _check(seconds).options, 90.0))


def wait(seconds: float) -> None:
    """Take so long: a check of a user."""
    time.sleep(seconds)


def _left_after_a_kill(way: str) -> int:
    worker = subprocess.Popen(
        [sys.executable, "-m", "bench.fork_servers", way, "stays"], stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    pids = json.loads(worker.stdout.readline())
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    time.sleep(3)
    left = [pid for pid in pids if psutil.pid_exists(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return len(left)


if __name__ == "__main__":
    main()
