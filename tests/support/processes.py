"""Processes that a test starts: on free ports, in their own directories, ended by their ids."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable
from typing import NoReturn, TypeVar

import psutil
import pytest

T = TypeVar("T")


def free_port() -> int:
    """Return a TCP port on 127.0.0.1 without a listener."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], T], *, seconds: float = 10.0, every: float = 0.02, what: object = "") -> T:
    """Return the first truthy value of ``condition``. Without one in time, fail the test with ``what``."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds} s: {what or condition}")
        time.sleep(every)
    return value


def alive(pids: Iterable[int]) -> set[int]:
    """Return those of the processes that still run, without zombies that wait for init."""
    found = set()
    for pid in pids:
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.add(pid)
        except psutil.NoSuchProcess:
            pass
    return found


def missing(server: str) -> NoReturn:
    """Skip the test because of a missing server; in CI fail it."""
    if os.environ.get("CI"):
        pytest.fail(f"{server} is not installed; CI must have it (see `make servers`)")
    pytest.skip(f"{server} is not installed (see `make servers`)")
