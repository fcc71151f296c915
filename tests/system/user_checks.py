"""Checks as a user would write them, badly behaved on purpose. They reach Redis by ``TEST_REDIS_URL``."""

from __future__ import annotations

import ctypes
import os
import socket
import time

import redis


def nothing() -> None:
    """What costs least."""


def status(key: str) -> str:
    """The status that the test has written into a key, ``ok`` when it has written none."""
    value = _redis().get(f"test:{key}")
    return str(value or "ok")


def counted(key: str, seconds: float = 0.2) -> dict[str, int]:
    """Take some time; count how many are at it at the same time, and remember the most there ever were."""
    client = _redis()
    running = client.incr(f"test:{key}:running")
    client.zadd(f"test:{key}:most", {"running": running}, gt=True)
    time.sleep(seconds)
    client.decr(f"test:{key}:running")
    return {"runs": client.incr(f"test:{key}:runs")}


def announced(key: str, seconds: float = 60.0) -> None:
    """Say who runs this, then take long: a test ends the process meanwhile."""
    _redis().rpush(f"test:{key}:pids", os.getpid())
    time.sleep(seconds)


def blocked_on_a_socket() -> None:
    """Wait for bytes that never come, without a time limit."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        client.recv(1)


def blocked_in_c_with_the_gil() -> None:
    """A C call that does not let any other thread run."""
    ctypes.PyDLL("libc.so.6").sleep(60)


def busy_and_deaf() -> None:
    """A loop that catches whatever is thrown into it."""
    while True:
        try:
            while True:
                pass
        except BaseException:  # noqa: BLE001
            continue


def _redis() -> redis.Redis:
    return redis.Redis.from_url(os.environ["TEST_REDIS_URL"], decode_responses=True)
