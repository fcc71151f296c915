"""The celery kind against real brokers, with messages that a real Celery application and kombu put there."""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kombu
import pytest
from celery import Celery

from monitor.checks.kinds.celery import with_time_limits
from monitor.checks.registry import KINDS
from monitor.model.checks import Outcome, Status
from tests.support.faults import FaultProxy, Freezer
from tests.support.processes import free_port, wait_for
from tests.support.redis_server import RedisServer, StartRedis, find_binary

Proxy = Callable[[str, int], FaultProxy]


def run(url: str, timeout_seconds: float = 3.0, **options: Any) -> Outcome:
    return KINDS.build("celery", {"broker_url": url, **options}).run(timeout_seconds)


def verdict(outcome: Outcome) -> tuple[Status, str | None]:
    return outcome.status, outcome.reason


def send(url: str, queue: str, count: int, *, priority: int | None = None, **transport_options: Any) -> None:
    """Send tasks as an application would."""
    with Celery(broker=url, set_as_current=False) as app:
        app.conf.broker_transport_options = transport_options
        for _ in range(count):
            app.send_task("shop.sell", queue=queue, priority=priority, ignore_result=True)


@pytest.fixture
def queue() -> str:
    """A queue of this test's own, on a shared server."""
    return f"q-{uuid.uuid4().hex[:8]}"


def test_an_empty_broker(start_redis: StartRedis) -> None:
    """Three fields, always the same."""
    outcome = run(start_redis().url)
    assert verdict(outcome) == (Status.OK, None)
    assert outcome.data == {"pending_tasks": 0, "unacked_tasks": 0, "queues": {"celery": 0}}


def test_queues_are_counted_apart_and_together(redis_server: RedisServer, queue: str) -> None:
    """Those that were asked for, and no other."""
    send(redis_server.url, queue, 3)
    send(redis_server.url, f"{queue}-mail", 2)
    send(redis_server.url, f"{queue}-other", 9)
    data = run(redis_server.url, queues=[queue, f"{queue}-mail", f"{queue}-none"]).data
    assert data["queues"] == {queue: 3, f"{queue}-mail": 2, f"{queue}-none": 0}
    assert data["pending_tasks"] == 5


@pytest.mark.parametrize(
    "transport_options",
    [{}, {"sep": ":"}, {"priority_steps": list(range(10))}, {"priority_steps": [0, 5], "sep": "//"}],
    ids=str,
)
def test_priorities_are_summed(redis_server: RedisServer, queue: str, transport_options: dict[str, Any]) -> None:
    """Each priority step is a list of its own; where it is, the transport's options say."""
    for priority in (None, 0, 3, 5, 9):
        send(redis_server.url, queue, 2, priority=priority, **transport_options)
    with redis_server.client() as client:
        assert client.llen(queue) < 10, "the messages are in several lists"
    assert run(redis_server.url, queues=[queue], transport_options=transport_options).data["pending_tasks"] == 10


def test_unacked_tasks_are_counted_apart(start_redis: StartRedis, queue: str) -> None:
    """What a worker holds does not wait any more."""
    url = start_redis().url
    send(url, queue, 5)
    with kombu.Connection(url) as connection, connection.SimpleQueue(queue) as waiting:
        held = [waiting.get(timeout=2) for _ in range(2)]
        data = run(url, queues=[queue]).data
        for message in held:
            message.ack()
    assert (data["pending_tasks"], data["unacked_tasks"]) == (3, 2)
    assert run(url, queues=[queue]).data["unacked_tasks"] == 0


def test_a_key_prefix(redis_server: RedisServer, queue: str) -> None:
    """Kombu adds it to all keys; without it there is nothing to count."""
    options = {"global_keyprefix": f"{queue}/"}
    send(redis_server.url, queue, 3, **options)
    connection = kombu.Connection(redis_server.url, transport_options=options)
    with connection, connection.SimpleQueue(queue) as waiting:
        held = waiting.get(timeout=2)
        data = run(redis_server.url, queues=[queue], transport_options=options).data
        held.ack()
    assert (data["pending_tasks"], data["unacked_tasks"]) == (2, 1)
    assert run(redis_server.url, queues=[queue]).data["pending_tasks"] == 0


def test_thresholds(redis_server: RedisServer, queue: str) -> None:
    """Of all queues together, above the number."""
    send(redis_server.url, queue, 3)
    options = {"queues": [queue, f"{queue}-none"]}
    assert run(redis_server.url, warning_pending=3, **options).status is Status.OK
    assert verdict(run(redis_server.url, warning_pending=2, **options)) == (Status.WARNING, "above_threshold")
    assert verdict(run(redis_server.url, error_pending=2, **options)) == (Status.ERROR, "above_threshold")


def test_nothing_is_left_behind(start_redis: StartRedis) -> None:
    """Neither keys nor connections."""
    server = start_redis()
    for _ in range(3):
        run(server.url)
    with server.client() as client:
        assert client.keys("*") == []
        wait_for(lambda: client.info("clients")["connected_clients"] == 1, what="only our own connection is left")


def test_a_unix_socket(redis_server: RedisServer, queue: str) -> None:
    """As kombu writes it."""
    send(redis_server.url, queue, 1)
    url = f"redis+socket://{redis_server.unix_path}"
    assert run(url, queues=[queue]).data["pending_tasks"] == 1
    assert verdict(run("redis+socket:///no/such.sock")) == (Status.ERROR, "refused")


def test_tls(start_redis: StartRedis, tmp_path: Path) -> None:
    """rediss:// with the settings of broker_use_ssl; and a server that speaks no TLS."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{tmp_path}/key", "-out", f"{tmp_path}/crt"]
    subprocess.run(command, check=True, capture_output=True)
    port = free_port()
    files = ["--tls-cert-file", f"{tmp_path}/crt", "--tls-key-file", f"{tmp_path}/key"]
    plain = start_redis("--tls-port", str(port), *files, "--tls-auth-clients", "no")
    trusted = {"ssl_cert_reqs": "required", "ssl_ca_certs": f"{tmp_path}/crt"}
    assert run(f"rediss://127.0.0.1:{port}/0", use_ssl=trusted).status is Status.OK
    strict = {"ssl_cert_reqs": "required"}
    assert verdict(run(f"rediss://127.0.0.1:{port}/0", use_ssl=strict)) == (Status.ERROR, "tls")
    assert run(f"rediss://127.0.0.1:{plain.port}/0").status is Status.ERROR


def test_nobody_there_is_said_at_once() -> None:
    """Neither kombu's retries nor redis-py's ten are waited for."""
    started = time.monotonic()
    assert verdict(run(f"redis://127.0.0.1:{free_port()}/0", 8.0)) == (Status.ERROR, "refused")
    assert time.monotonic() - started < 1


def test_the_next_host_of_a_list(redis_server: RedisServer, queue: str) -> None:
    """Kombu fails over to it, and so do we, once round."""
    send(redis_server.url, queue, 1)
    dead = f"redis://127.0.0.1:{free_port()}/0"
    started = time.monotonic()
    assert run(f"{dead};{redis_server.url}", queues=[queue]).data["pending_tasks"] == 1
    assert verdict(run(f"{dead};{dead}", 8.0)) == (Status.ERROR, "refused")
    assert time.monotonic() - started < 2


def test_a_frozen_broker(start_redis: StartRedis, freezer: Freezer) -> None:
    """It accepts and says nothing. By default kombu would wait for ever, whatever the options of its user say."""
    server = start_redis()
    freezer.freeze(server.pid)
    started = time.monotonic()
    options = {"socket_timeout": 60, "retry_on_timeout": True}
    assert verdict(run(server.url, 0.5, transport_options=options)) == (Status.ERROR, "timeout")
    assert time.monotonic() - started < 1
    freezer.thaw(server.pid)
    assert run(server.url, transport_options=options).status is Status.OK


@pytest.mark.parametrize(("mode", "reason"), [("blackhole", "timeout"), ("reset", "reset"), ("refuse", "refused")])
@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_failures_of_the_network(
    redis_server: RedisServer, fault_proxy: Proxy, scheme: str, mode: Any, reason: str
) -> None:
    """Each by its name, on Redis and on AMQP, within the timeout (py-amqp's are whole seconds)."""
    proxy = fault_proxy("127.0.0.1", redis_server.port)
    proxy.set(mode)
    started = time.monotonic()
    url = f"{scheme}://127.0.0.1:{proxy.port}/0"
    assert verdict(run(url, 1.0)) == (Status.ERROR, reason)
    assert time.monotonic() - started < 1.8


def test_passwords(start_redis: StartRedis) -> None:
    """Missing or wrong; no message shows it."""
    server = start_redis()
    with server.client() as client:
        client.config_set("requirepass", "swordfish")
    assert run(f"redis://:swordfish@127.0.0.1:{server.port}/0").status is Status.OK
    for user_info in ("", ":guessed@"):
        outcome = run(f"redis://{user_info}127.0.0.1:{server.port}/0")
        assert verdict(outcome) == (Status.ERROR, "authentication")
        assert "guessed" not in (outcome.message or "")


def test_a_key_that_is_no_queue(redis_server: RedisServer, queue: str) -> None:
    """Somebody else's key of that name."""
    with redis_server.client() as client:
        client.set(queue, "x", ex=60)
    assert verdict(run(redis_server.url, queues=[queue])) == (Status.ERROR, "server_error")


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("nosuchtransport://host/", {}),
        ("redis://127.0.0.1:1/notanumber", {}),
        ("sentinel://127.0.0.1:1/0", {}),
    ],
)
def test_a_broker_that_cannot_be_used(url: str, options: dict[str, Any]) -> None:
    """Wrong, rather than absent."""
    assert verdict(run(url, transport_options=options)) == (Status.ERROR, "not_configured")


@pytest.fixture
def sentinel(start_redis: StartRedis, tmp_path: Path) -> Iterator[tuple[RedisServer, subprocess.Popen[bytes], int]]:
    """A master, and a Sentinel that watches it as `mymaster`: the master, the Sentinel, its port."""
    master, port = start_redis(), free_port()
    configuration = tmp_path / "sentinel.conf"
    lines = [f"port {port}", "bind 127.0.0.1", f"dir {tmp_path}", f"logfile {tmp_path}/log"]
    lines += [f"sentinel monitor mymaster 127.0.0.1 {master.port} 1", "sentinel down-after-milliseconds mymaster 500"]
    configuration.write_text("\n".join(lines) + "\n")
    process = subprocess.Popen([find_binary("redis-server") or master.binary, str(configuration), "--sentinel"])
    try:
        yield master, process, port
    finally:
        process.kill()
        process.wait()


def test_sentinel(sentinel: tuple[RedisServer, subprocess.Popen[bytes], int], freezer: Freezer, queue: str) -> None:
    """The master is asked for; without a Sentinel, and with a frozen one, the run ends within its timeout."""
    master, process, port = sentinel
    # The first one of the list is dead: the other is asked.
    url = f"sentinel://127.0.0.1:{free_port()}/0;sentinel://127.0.0.1:{port}/0"
    options = {"master_name": "mymaster"}
    wait_for(lambda: run(url, transport_options=options).status is Status.OK, what="the Sentinel knows its master")
    send(master.url, queue, 2)
    assert run(url, queues=[queue], transport_options=options).data["pending_tasks"] == 2
    assert verdict(run(url, transport_options={"master_name": "other"})) == (Status.ERROR, "no_master")
    freezer.freeze(master.pid)
    started = time.monotonic()
    assert run(url, 1.0, transport_options=options).status is Status.ERROR
    assert time.monotonic() - started < 2
    freezer.thaw(master.pid)
    freezer.freeze(process.pid)
    started = time.monotonic()
    assert run(url, 1.0, transport_options=options).status is Status.ERROR
    assert time.monotonic() - started < 3
    freezer.thaw(process.pid)


def test_other_transports(queue: str) -> None:
    """Queues are declared passively; one that does not exist is empty and is not made; unacked tasks are not known."""
    with kombu.Connection("memory://") as connection, connection.SimpleQueue(queue) as waiting:
        waiting.put({"task": 1})
        waiting.put({"task": 2})
        data = run("memory://", queues=[queue, f"{queue}-none"]).data
        again = run("memory://", queues=[f"{queue}-none"]).data
    assert data == {"pending_tasks": 2, "queues": {queue: 2, f"{queue}-none": 0}}
    assert again["queues"] == {f"{queue}-none": 0}


def test_what_is_forced_on_a_user_s_options() -> None:
    """Time limits and tries; everything else stays."""
    given = {"visibility_timeout": 60, "socket_timeout": 99, "max_retries": 9}
    options = with_time_limits(given, "redis", 3, 1.5)
    assert (options["socket_timeout"], options["max_retries"], options["visibility_timeout"]) == (0.5, 2, 60)
    assert with_time_limits({"socket_timeout": 0.2}, "redis", 0, 1.5)["socket_timeout"] == 0.2
    assert with_time_limits({"master_name": "m"}, "redis", 2, 1.5)["sentinel_kwargs"]["socket_timeout"] == 0.5
    assert with_time_limits({"master_name": "m"}, "redis", 2, 1.5)["socket_timeout"] == 1.5
    assert with_time_limits({}, "amqp", 0, 1.5)["read_timeout"] == 2
    assert "socket_timeout" not in with_time_limits({}, "amqp", 0, 1.5)
    assert given["socket_timeout"] == 99
