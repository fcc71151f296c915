"""Web processes find out by themselves why results cannot be stored, and name it. Real servers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from monitor.api.refresher import Refresher
from monitor.store.redis.store import RedisStore
from tests.support.processes import wait_for
from tests.support.redis_server import RedisServer

REFUSALS = {
    "memory is full": (("CONFIG", "SET", "maxmemory", "1"), "out_of_memory"),
    "a replica": (("REPLICAOF", "127.0.0.1", "1"), "read_only"),
    "a password": (("CONFIG", "SET", "requirepass", "secret"), "authentication"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_the_reason_is_found_by_reading(case: str, start_redis: Callable[..., RedisServer]) -> None:
    """The refresher names the reason while the server refuses."""
    command, reason = REFUSALS[case]
    server = start_redis()
    with server.client() as client:
        client.execute_command(*command)
    refresher = Refresher(lambda: RedisStore(server.url, timeout_seconds=0.2, retries=False), interval_seconds=0.05)
    refresher.start()
    try:
        wait_for(lambda: refresher.snapshot().refusal == reason, seconds=20, what=reason)
    finally:
        refresher.stop()


def test_a_reason_is_not_shown_for_another_failure(start_redis: Callable[..., RedisServer]) -> None:
    """The memory was full before the server was gone: that it is gone is all that is known."""
    server = start_redis()
    with server.client() as client:
        client.config_set("maxmemory", "1")
    refresher = Refresher(lambda: RedisStore(server.url, timeout_seconds=0.2, retries=False), interval_seconds=0.05)
    refresher.start()
    try:
        wait_for(lambda: refresher.snapshot().refusal == "out_of_memory", seconds=20, what="out_of_memory")
        server.kill()
        wait_for(lambda: refresher.snapshot().answering is False, seconds=20, what="no answer")
        assert refresher.snapshot().refusal is None
    finally:
        refresher.stop()
