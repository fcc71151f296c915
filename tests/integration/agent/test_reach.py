"""New connections that the agent tries, and calls that it waits for only so long."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from monitor.agent.bounded_calls import BoundedCalls
from monitor.agent.reachability import Reachability
from tests.support.faults import Freezer
from tests.support.processes import free_port
from tests.support.redis_server import StartRedis


def conf(url: Any, **options: Any) -> Any:
    """What a Celery application's configuration says of its broker."""
    return SimpleNamespace(broker_read_url=None, broker_url=url, broker_transport_options=options, broker_use_ssl=None)


def test_calls_are_waited_for_only_so_long() -> None:
    """A call that hangs is left alone, and others are refused until it has returned."""
    calls, release = BoundedCalls("test"), threading.Event()
    assert calls.run(lambda: 5, seconds=10) == 5
    with pytest.raises(ZeroDivisionError):
        calls.run(lambda: 1 // 0, seconds=10)
    with pytest.raises(TimeoutError, match="not within"):
        calls.run(release.wait, seconds=0.05)
    with pytest.raises(TimeoutError, match="still running"):
        calls.run(lambda: 6, seconds=10)
    release.set()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            assert calls.run(lambda: 6, seconds=10) == 6
            return
        except TimeoutError:
            continue
    pytest.fail("the thread does not come back")


def test_a_redis_that_is_both(start_redis: StartRedis, freezer: Freezer) -> None:
    """One server is tried as one; it answers, whether or not PING is permitted, and no longer when it is frozen."""
    server = start_redis()
    with server.client() as admin:
        admin.execute_command("ACL", "SETUSER", "silent", "on", ">pw", "~*", "+@all", "-ping")
    for url in (server.url, f"redis://silent:pw@127.0.0.1:{server.port}/0", server.unix_url):
        reach = Reachability(conf(url.replace("unix://", "redis+socket://").replace("?db=0", "")), url)
        assert reach.is_one_server and reach.is_store_reachable()
    freezer.freeze(server.pid)
    assert not reach.is_store_reachable()


def test_two_servers(start_redis: StartRedis) -> None:
    """A server that accepts connections and refuses the login, or any further client, cannot be reached."""
    store, broker = start_redis(), start_redis()
    url = f"redis://shop:pw@127.0.0.1:{broker.port}/0"
    reach = Reachability(conf(url), store.url)
    assert not reach.is_one_server
    assert reach.is_store_reachable() and not reach.is_broker_reachable()
    with broker.client() as admin:
        admin.execute_command("ACL", "SETUSER", "shop", "on", ">pw", "+@all")
        assert reach.is_broker_reachable()
        admin.config_set("maxclients", 1)
        assert not reach.is_broker_reachable()


def test_brokers_that_are_no_redis(start_redis: StartRedis) -> None:
    """One of several addresses that accepts a connection is enough; an unknown transport is taken for the store."""
    server, nobody = start_redis(), free_port()
    down, up = f"amqp://127.0.0.1:{nobody}//", f"amqp://127.0.0.1:{server.port}//"
    for url, reached in ((down, False), (f"{down};{up}", True), ([down, up], True)):
        assert Reachability(conf(url), "redis://store/0").is_broker_reachable() is reached
    assert Reachability(conf("sqs://"), server.url).is_one_server
