"""`monitor uninstall` after the whole product has run: nothing of the monitor is left, nothing of the user is gone."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from monitor.agent.identity import Identity, encode
from monitor.agent.protocol import HEARTBEAT
from monitor.store.redis.store import RedisStore
from tests.support.agents import AgentStore, StartAgentWorker
from tests.support.alert_receiver import receiving
from tests.support.celery_nodes import HostProcess
from tests.support.kafka_server import KafkaServer
from tests.support.postgres_server import PostgresServer
from tests.support.processes import free_port, wait_for
from tests.support.rabbitmq_server import RabbitServer
from tests.support.redis_server import StartRedis
from tests.support.roles import FailureText, StartMonitor
from tests.support.shop import Shop

CONFIG = """
default_checks = false
queue = "monitor"
[workers]
interval = "1s"
[alerting]
sweep_interval = "1s"
[channels.hook]
kind = "webhook"
url = "{receiver}"
[channels.nowhere]
kind = "webhook"
url = "http://127.0.0.1:{closed}/"
[checks.redis]
kind = "redis"
interval = "1s"
[checks.database]
kind = "database"
interval = "1s"
[checks.celery]
kind = "celery"
interval = "1s"
[checks.broken]
kind = "tcp"
host = "127.0.0.1"
port = {closed}
interval = "1s"
[checks.orders]
kind = "kafka_group"
interval = "5s"
timeout = "4s"
brokers = ["{kafka}"]
consumer_groups = ["uninstall"]
min_consumers = 0
"""
USERS_KEYS = {
    "shop:orders": "7",
    "monitor:mine": "a key that another program of the user has written below the same prefix",
    "monitor.workers": "not a queue",
    "blog:monitor:project": encode(Identity("blog")),
    "blog:monitor:states": "the store of another project, below another prefix",
    "monitor:blog:states": "a store whose prefix begins with ours",
    "monitor:blog:project": encode(Identity("blog")),
}
VOLATILE = re.compile(rb"celery-task-meta-.*|shop:restocked|shop|unacked.*|_kombu.binding.celery(ev|.pidbox)")
"""Keys that the project's own Celery writes while it runs. A worker that is killed leaves its bindings."""


def keys_of(client: redis.Redis) -> dict[bytes, Any]:
    """All keys except those of the project's Celery, with their values. Sets are compared without scores."""
    found: dict[bytes, Any] = {}
    for key in client.scan_iter(count=1000):
        if not VOLATILE.fullmatch(key):
            readers = {b"set": client.smembers, b"zset": lambda key: client.zrange(key, 0, -1)}
            read = readers.get(client.type(key))
            found[key] = sorted(read(key)) if read else client.dump(key)
    return found


def rows_of(postgres: PostgresServer) -> dict[str, list[Any]]:
    """All rows of all tables, without the times and counters that the project's beat writes."""
    with postgres.connect() as connection:
        tables = [
            name
            for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        ]
        rows = {}
        for table in tables:
            values = [row for (row,) in connection.execute(f"SELECT to_jsonb(t) FROM {table} t")]
            for value in values:
                for name in ("last_run_at", "total_run_count", "date_changed", "last_update"):
                    value.pop(name, None)
            rows[table] = sorted(values, key=json.dumps)
        return rows


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """A database server of the test's own: it is compared."""
    server = PostgresServer()
    yield server
    server.stop()


def finish(shop: Shop, *command: str, code: int | None = 0, **env: str) -> str:
    """Run a command of the environment to its end, and return what it printed."""
    process = shop.run(*command, **env)
    assert process.wait(60) == code or code is None, process.logs()
    return process.logs()


def test_nothing_is_left(start_redis: StartRedis, postgres: PostgresServer, kafka: KafkaServer, tmp_path: Path) -> None:
    """Roles, agents, alerts, Kafka, history and rows of former versions; then uninstall, in one Redis."""
    kafka.create_topic("uninstall", partitions=2)
    kafka.produce("uninstall", 10, partition=0)
    kafka.commit("uninstall", {("uninstall", 0): 5})
    server = start_redis()
    directory, samples = tmp_path / "data", tmp_path / "samples"
    shop = Shop(
        server,
        postgres,
        SHOP_KEEPS_SCHEDULE_IN_DATABASE="1",
        MONITOR_CONFIG=str(tmp_path / "monitor.toml"),
        MONITOR_DATA_DIR=str(directory),
        CELERY_HEALTH_MONITOR_DIR=str(samples),
    )
    with contextlib.ExitStack() as stack:
        stack.callback(shop.stop)
        client = stack.enter_context(server.client())
        receiver = stack.enter_context(receiving())
        text = CONFIG.format(receiver=receiver.url, closed=free_port(), kafka=kafka.bootstrap)
        (tmp_path / "monitor.toml").write_text(text)
        client.mset(USERS_KEYS)
        finish(shop, "python", "-m", "django", "migrate")
        run_project_without_monitor(shop, client)
        before = keys_of(client), rows_of(postgres)

        finish(shop, "python", "earlier_entries.py")
        roles, workers = run_everything(shop, client, directory)
        refused = finish(shop, "monitor", "uninstall", "--yes", code=1)
        for text in ("monitor worker (", "monitor beat (", "monitor web (", "agent in the worker first@shop"):
            assert text in refused
        assert client.exists("monitor:states", "monitor:beacons") == 2
        stop(roles, workers, client)

        listed = finish(shop, "monitor", "uninstall", SHOP_WITHOUT_MONITOR="1")
        assert keys_of(client).keys() > before[0].keys()
        for text in ("history", "alerts", "workers", "memories", "periodic tasks", "bindings", "token", "monitor:mine"):
            assert text in listed, listed
        assert "heartbeats in the project's queues" in listed, listed
        assert "unacknowledged messages" in listed, listed
        printed = finish(shop, "monitor", "uninstall", "--yes", SHOP_WITHOUT_MONITOR="1")
        print(listed, printed)
        assert keys_of(client) == before[0]
        assert rows_of(postgres) == before[1]
        assert not directory.exists()
        assert not samples.exists()
        assert [raw for raw in client.lrange("shop", 0, -1) if HEARTBEAT.encode() in raw] == []
        assert [raw for raw in client.hvals("unacked") if b"monitor.tasks" in raw] == []
        bound = [*client.smembers("_kombu.binding.celery.pidbox"), *client.smembers("_kombu.binding.celeryev")]
        assert [member for member in bound if b"monitor" in member] == []
        assert client.keys("monitor.*") == [b"monitor.workers"]
        again = finish(shop, "monitor", "uninstall", SHOP_WITHOUT_MONITOR="1")
        assert "would remove 0 items" in again, again


def run_project_without_monitor(shop: Shop, client: redis.Redis) -> None:
    """Run the project's worker and beat before it has the monitor, so that Celery's own keys and rows exist."""
    env = {"SHOP_WITHOUT_MONITOR": "1"}
    scheduler = ("-S", "django_celery_beat.schedulers:DatabaseScheduler")
    processes = [
        shop.run("celery", "-A", "shop", "worker", "-P", "solo", "-n", "first@shop", **env),
        shop.run("celery", "-A", "shop", "beat", *scheduler, **env),
    ]
    wait_for(lambda: client.exists("shop:restocked"), seconds=40, what=FailureText(shop, "the shop works"))
    for process in processes:
        process.kill("SIGTERM")


def run_everything(shop: Shop, client: redis.Redis, directory: Path) -> tuple[list[HostProcess], list[HostProcess]]:
    """Run all roles and two workers with the agent, until each part of the product has stored something."""
    roles = [shop.run("monitor", "worker"), shop.run("monitor", "beat")]
    roles.append(shop.run("monitor", "web", "--port", str(free_port())))
    workers = [
        shop.run("celery", "-A", "shop", "worker", "-P", "solo", "-n", "first@shop"),
        shop.run("celery", "-A", "shop", "worker", "-c", "1", "-n", "second@shop"),
    ]
    finish(shop, "monitor", "silence", "nothing*", "--for", "1h", "--why", "test")
    store = RedisStore(shop.redis.url)
    for name in ("worker:first@shop", "worker:second@shop", "queue:shop", "orders", "broken", "database", "workers"):
        wait_for(lambda name=name: name in store.states.read().states, seconds=60, what=FailureText(shop, name))
    for key in ("memory", "alerting:alerts", "alerting:silences", "open", "heartbeats", "transitions", "project"):
        wait_for(lambda key=key: client.exists(f"monitor:{key}"), seconds=60, what=FailureText(shop, key))
    wait_for(
        lambda: client.keys("monitor:alerting:lane:nowhere*"), seconds=30, what=FailureText(shop, "a waiting notice")
    )
    wait_for((directory / "token").exists, seconds=30, what=FailureText(shop, "a token"))
    wait_for(lambda: len(store.roles.running()) == 3, seconds=30, what=FailureText(shop, "three roles"))
    store.close()
    return roles, workers


def stop(roles: list[HostProcess], workers: list[HostProcess], client: redis.Redis) -> None:
    """Stop the workers, one of them by SIGKILL, then the roles. Leave messages of a worker that was killed."""
    workers[0].kill("SIGTERM")
    workers[1].kill("SIGKILL")
    roles[0].kill("SIGKILL")
    for role in roles[1:]:
        role.kill("SIGTERM")
    # As kombu stores a message that a worker has taken, and the messages that nobody takes any more.
    ours = {"headers": {"task": "monitor.tasks.run_check"}, "body": "", "properties": {}}
    theirs = {"headers": {"task": "shop.tasks.restock"}, "body": "", "properties": {}}
    heartbeat = {"headers": {"task": HEARTBEAT}, "body": "", "properties": {}}
    for number, (message, queue) in enumerate(((ours, "monitor"), (theirs, "shop"), (heartbeat, "shop"))):
        client.hset("unacked", f"tag-{number}", json.dumps([message, "", queue]))
        client.zadd("unacked_index", {f"tag-{number}": 1.0})
    client.lpush("shop", json.dumps(theirs), json.dumps(heartbeat), json.dumps(theirs))
    client.lpush("monitor.worker.former@shop.0123456789abcdef", json.dumps(heartbeat))
    client.lpush("monitor\x06\x163", json.dumps(ours))
    wait_for(lambda: not client.keys("monitor:role:*"), seconds=30, what="the record of the killed role expires")


def test_nothing_is_left_in_rabbitmq(
    start_monitor: StartMonitor, start_agent_worker: StartAgentWorker, rabbitmq_server: RabbitServer
) -> None:
    """Queues, exchanges and bindings in the broker, and all keys of the store, which is a Redis of its own."""
    virtual_host = "uninstall"
    rabbitmq_server.add_virtual_host(virtual_host)
    url = f"amqp://guest:guest@127.0.0.1:{rabbitmq_server.port}/{virtual_host}"
    monitor = start_monitor("[workers]\ninterval = '1s'\n", env={"MONITOR_BROKER_URL": url})
    env = {"MONITOR_REDIS_URL": monitor.redis.url}
    with monitor.redis.client() as client:
        store = AgentStore(client)
        plain = start_agent_worker(store, "-P", "solo", node="w@h", broker=url, env={**env, "TEST_INSTALL": "none"})
        wait_for(lambda: " ready." in plain.logs(), seconds=40, what=FailureText(plain, "a worker without the agent"))
        plain.kill("SIGTERM")
        before = rabbitmq_server.objects(virtual_host)
        monitor.worker()
        monitor.beat()
        worker = start_agent_worker(store, "-P", "solo", node="w@h", broker=url, env=env)
        executed = FailureText(monitor, "a heartbeat is executed")
        wait_for(lambda: store.executed(f"worker:{worker.target}"), seconds=60, what=executed)
        worker.kill("SIGTERM")
        for role in monitor.roles:
            role.kill("SIGTERM")
        assert rabbitmq_server.objects(virtual_host) != before
        listed = monitor.run("uninstall")
        assert listed.wait() == 0, listed.logs()
        for text in ("queues (monitor, monitor.dispatch, monitor.rounds)", "exchanges", "direct queues of workers"):
            assert text in listed.logs()
        removed = monitor.run("uninstall", "--yes")
        assert removed.wait() == 0, removed.logs()
        print(listed.logs(), removed.logs())
        assert rabbitmq_server.objects(virtual_host) == before
        assert client.keys() == []
