"""Checks as users write them, with deliberate faults. They reach Redis by ``TEST_REDIS_URL``."""

from __future__ import annotations

import os
import socket
import time

import redis

from tests.support.stuck import blocked_in_c_with_the_gil, busy_and_deaf

__all__ = ["blocked_in_c_with_the_gil", "busy_and_deaf"]


def nothing() -> None:
    """Return at once."""


def status(key: str) -> str:
    """Return the status that the test has written into a key; ``ok`` without one."""
    value = _redis().get(f"test:{key}")
    return str(value or "ok")


def counted(key: str, seconds: float = 0.2) -> dict[str, int]:
    """Take some time, and store the highest number of simultaneous runs."""
    client = _redis()
    running = client.incr(f"test:{key}:running")
    client.zadd(f"test:{key}:most", {"running": running}, gt=True)
    time.sleep(seconds)
    client.decr(f"test:{key}:running")
    return {"runs": client.incr(f"test:{key}:runs")}


def announced(key: str, seconds: float = 60.0) -> None:
    """Report the process, and take long, so that a test can end the process meanwhile."""
    _redis().rpush(f"test:{key}:pids", os.getpid())
    time.sleep(seconds)


def blocked_on_a_socket() -> None:
    """Wait for bytes that never arrive, without a time limit."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        client.recv(1)


def _redis() -> redis.Redis:
    return redis.Redis.from_url(os.environ["TEST_REDIS_URL"], decode_responses=True)
