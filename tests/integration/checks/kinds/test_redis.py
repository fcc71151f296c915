"""The redis kind against a real server: well, ill, absent and in the network's way."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from pydantic import ValidationError

from monitor.checks.registry import KINDS
from monitor.model.checks import Outcome, Status
from tests.support.faults import FaultProxy, Freezer
from tests.support.processes import free_port, wait_for
from tests.support.redis_server import RedisServer, StartRedis

Proxy = Callable[[str, int], FaultProxy]


def run(url: str, timeout_seconds: float = 2.0, **options: Any) -> Outcome:
    return KINDS.build("redis", {"url": url, **options}).run(timeout_seconds)


def verdict(outcome: Outcome) -> tuple[Status, str | None]:
    return outcome.status, outcome.reason


def test_a_healthy_server(redis_server: RedisServer, key_prefix: str) -> None:
    """It is written to, below our prefix, and what is written expires."""
    outcome = run(redis_server.url, key_prefix=key_prefix)
    assert verdict(outcome) == (Status.OK, None)
    assert outcome.data["used_memory_mb"] > 0
    with redis_server.client() as client:
        (key,) = client.keys(f"{key_prefix}*")
        assert 0 < client.pttl(key) <= 60_000


def test_a_unix_socket(redis_server: RedisServer, key_prefix: str) -> None:
    """The embedded server listens on nothing else."""
    assert run(redis_server.unix_url, key_prefix=key_prefix).status is Status.OK
    assert verdict(run("unix:///no/such.sock")) == (Status.ERROR, "refused")


def test_nobody_there_is_said_at_once() -> None:
    """redis-py's ten retries would take seconds."""
    started = time.monotonic()
    assert verdict(run(f"redis://127.0.0.1:{free_port()}/0", 5.0)) == (Status.ERROR, "refused")
    assert time.monotonic() - started < 1


def test_a_frozen_server(start_redis: StartRedis, freezer: Freezer) -> None:
    """It accepts connections and answers nothing; once it goes on, so do we."""
    server = start_redis()
    freezer.freeze(server.pid)
    started = time.monotonic()
    assert verdict(run(server.url, 0.5)) == (Status.ERROR, "timeout")
    assert time.monotonic() - started < 1
    freezer.thaw(server.pid)
    assert run(server.url).status is Status.OK


def test_options_in_the_address_do_not_outlast_the_timeout(start_redis: StartRedis, freezer: Freezer) -> None:
    """redis-py lets an address overrule its arguments."""
    server = start_redis()
    freezer.freeze(server.pid)
    started = time.monotonic()
    url = f"{server.url}?socket_timeout=30&socket_connect_timeout=30&retry_on_timeout=yes"
    assert verdict(run(url, 0.5)) == (Status.ERROR, "timeout")
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(("mode", "reason"), [("blackhole", "timeout"), ("reset", "reset"), ("refuse", "refused")])
def test_failures_of_the_network(redis_server: RedisServer, fault_proxy: Proxy, mode: Any, reason: str) -> None:
    """Each by its name, within the timeout."""
    proxy = fault_proxy("127.0.0.1", redis_server.port)
    proxy.set(mode)
    started = time.monotonic()
    assert verdict(run(f"redis://127.0.0.1:{proxy.port}/0", 0.5)) == (Status.ERROR, reason)
    assert time.monotonic() - started < 1


def test_a_slow_network_is_not_a_broken_one(redis_server: RedisServer, fault_proxy: Proxy, key_prefix: str) -> None:
    """Latency below the timeout is fine."""
    proxy = fault_proxy("127.0.0.1", redis_server.port)
    proxy.set("latency", seconds=0.02)
    assert run(f"redis://127.0.0.1:{proxy.port}/0", 3.0, key_prefix=key_prefix).status is Status.OK


def test_passwords(start_redis: StartRedis) -> None:
    """Missing or wrong, it is the password; and no message shows the one we have."""
    server = start_redis()
    port = server.port
    with server.client() as client:
        client.config_set("requirepass", "swordfish")
    assert run(f"redis://:swordfish@127.0.0.1:{port}/0").status is Status.OK
    for user_info in ("", ":guessed@"):
        outcome = run(f"redis://{user_info}127.0.0.1:{port}/0")
        assert verdict(outcome) == (Status.ERROR, "authentication")
        assert "guessed" not in (outcome.message or "")


def test_rights(start_redis: StartRedis) -> None:
    """A user who may not write fails; one who may not read the server's memory only lacks that number."""
    server = start_redis()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "reader", "on", ">x", "~*", "+ping", "+client")
        client.execute_command("ACL", "SETUSER", "writer", "on", ">x", "~*", "+ping", "+client", "+set")
    assert verdict(run(f"redis://reader:x@127.0.0.1:{server.port}/0")) == (Status.ERROR, "permission")
    outcome = run(f"redis://writer:x@127.0.0.1:{server.port}/0")
    assert (verdict(outcome), outcome.data) == ((Status.OK, None), {})


def test_a_replica_takes_no_writes(redis_server: RedisServer, start_redis: StartRedis) -> None:
    """After a fail-over the old address may be one."""
    replica = start_redis("--replicaof", "127.0.0.1", str(redis_server.port))

    def synchronised() -> bool:
        with replica.client() as client:
            return client.info("replication")["master_link_status"] == "up"

    wait_for(synchronised, what="the replica is synchronised")
    assert verdict(run(replica.url)) == (Status.ERROR, "read_only")


def test_a_full_memory(start_redis: StartRedis) -> None:
    """Nearly full is a warning, full an error, where nothing may be evicted."""
    server = start_redis("--maxmemory", "20mb", "--maxmemory-policy", "noeviction")
    assert run(server.url).data["used_memory_percent"] < 90
    assert verdict(run(server.url, warning_memory_percent=0.1)) == (Status.WARNING, "above_threshold")
    with server.client() as client:
        client.config_set("maxmemory", "1kb")
    assert verdict(run(server.url)) == (Status.ERROR, "out_of_memory")


def test_a_full_cache_is_as_it_should_be(start_redis: StartRedis) -> None:
    """Where keys are evicted, a full memory is the normal state."""
    server = start_redis("--maxmemory", "20mb", "--maxmemory-policy", "allkeys-lru")
    outcome = run(server.url, warning_memory_percent=0.1)
    assert outcome.status is Status.OK
    assert "used_memory_percent" not in outcome.data


def test_a_server_that_is_loading(start_redis: StartRedis) -> None:
    """After a restart with much data it answers every command with LOADING."""
    server = start_redis("--enable-debug-command", "yes", "--loading-process-events-interval-bytes", "1024")
    with server.client() as client:
        client.execute_command("DEBUG", "POPULATE", "20000")
        client.config_set("key-load-delay", "1000")  # microseconds for each key, as it is read back from the file

    def reload() -> None:
        with contextlib.suppress(redis.RedisError), server.client(socket_timeout=60) as client:
            client.execute_command("DEBUG", "RELOAD")

    reloading = threading.Thread(target=reload)
    reloading.start()
    try:
        wait_for(lambda: run(server.url).reason == "loading", what="LOADING is seen")
    finally:
        server.kill()
        reloading.join()


def test_a_server_that_cannot_save(start_redis: StartRedis) -> None:
    """With a failed snapshot Redis refuses writes (MISCONF)."""
    server = start_redis("--save", "3600 1", "--stop-writes-on-bgsave-error", "yes")
    with server.client() as client:
        client.set("a", 1)
        client.config_set("rdbcompression", "no")
        server.directory.chmod(0o500)
        (server.directory / "dump.rdb").mkdir()
        client.bgsave()
        wait_for(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", what="a snapshot failed")
    assert verdict(run(server.url)) == (Status.ERROR, "not_persisting")


def test_a_server_without_room_for_us(start_redis: StartRedis) -> None:
    """It says so and hangs up."""
    server = start_redis("--maxclients", "10")
    clients = [server.client() for _ in range(10)]
    for client in clients:
        client.ping()
    assert verdict(run(server.url)) == (Status.ERROR, "too_many_clients")
    for client in clients:
        client.close()


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "127.0.0.1:6379", ""])
def test_an_address_of_something_else(url: str) -> None:
    """Said before anything runs."""
    with pytest.raises(ValidationError, match="should begin with redis://"):
        KINDS.build("redis", {"url": url})
