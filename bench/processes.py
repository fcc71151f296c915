"""Processes a benchmark starts, watches and ends."""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

from tests.support.processes import free_port

ROOT = Path(__file__).parents[1]
T = TypeVar("T")


@dataclass(frozen=True)
class Served:
    """A web server that answers at ``url``."""

    url: str
    pid: int


@contextlib.contextmanager
def running(*arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """``python -m ARGUMENTS`` with these additions to the environment. Its output is shown only if it fails."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        except BaseException:
            log.seek(0)
            sys.stderr.write(f"--- {' '.join(arguments)} (exit {process.poll()})\n{log.read()[-8000:].decode()}\n")
            raise
        finally:
            end(process)


@contextlib.contextmanager
def serving(
    *arguments: str, path: str, environment: Mapping[str, str] | None = None, ready: tuple[int, ...] = (200,)
) -> Iterator[Served]:
    """A server started by ``python -m ARGUMENTS --port N``, once ``path`` answers with a status in ``ready``."""
    port = free_port()
    with running(*arguments, "--port", str(port), environment=environment) as process:
        wait_for(lambda: status_of(port, path) in ready, what=f"{path} of {' '.join(arguments)}", process=process)
        yield Served(f"http://127.0.0.1:{port}{path}", process.pid)


def status_of(port: int, path: str, *, timeout_seconds: float = 3.0) -> int | None:
    """The status code of one GET request, None without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_seconds)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def wait_for(
    condition: Callable[[], T], *, what: str, seconds: float = 60.0, process: subprocess.Popen[bytes] | None = None
) -> T:
    """The first truthy value of ``condition``. Raises RuntimeError when time is up, or when ``process`` ends first."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"ended with status {process.returncode}, while waiting for {what}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)
    return value


def cpu_seconds(pid: int) -> float:
    """CPU time used so far by a process and those below it, also by children that have ended and been waited for."""
    total = 0.0
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total


def end(process: subprocess.Popen[bytes], *, grace_seconds: float = 5.0) -> None:
    """Ask the process to end, and kill what is left of its tree when it takes too long."""
    with contextlib.suppress(psutil.NoSuchProcess):
        tree = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        try:
            process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _, alive = psutil.wait_procs(tree, timeout=1.0)
        for child in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
