"""The agent with every broker that Celery's users have, and with no more rights than the broker's user has."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest

from monitor.store.redis.store import RedisStore
from tests.support.agents import AgentStore, StartAgentWorker
from tests.support.celery_nodes import ROOT
from tests.support.old_celery import VERSIONS
from tests.support.processes import free_port, wait_for
from tests.support.rabbitmq_server import RabbitServer
from tests.support.redis_server import StartRedis
from tests.support.sentinels import MASTER, Sentinels

SOLO = ("-P", "solo", "-Q", "orders")
PREFIX = "shop:"


def documented_rule(user: str) -> list[str]:
    """The ACL rule of docs/workers.md for a user, with the password ``pw``."""
    text = (ROOT / "docs/workers.md").read_text().replace("\\\n", " ")
    found = re.search(rf"^ACL SETUSER {user} .*", text, re.MULTILINE)
    assert found, f"docs/workers.md has a rule for {user}"
    return found[0].replace(">password", ">pw").split()


@pytest.mark.parametrize("celery", VERSIONS)
def test_a_user_confined_to_a_prefix(
    start_redis: StartRedis, start_agent_worker: StartAgentWorker, celery: str
) -> None:
    """With `global_keyprefix` and a user who may touch nothing else, the store is found below the same prefix."""
    server = start_redis()
    admin = server.client()
    admin.execute_command(*documented_rule("shop"))
    store = AgentStore(admin, f"{PREFIX}monitor:")
    worker = start_agent_worker(
        store,
        *SOLO,
        node="w1@host",
        broker=f"redis://shop:pw@127.0.0.1:{server.port}/0",
        celery=celery,
        transport_options={"global_keyprefix": PREFIX},
    )
    beacon = worker.beacon(lambda beacon: beacon.direct)
    assert beacon.client_id is not None
    named = [client["name"] for client in admin.client_list() if int(client["id"]) == beacon.client_id]
    assert named == [f"monitor-agent:{worker.target}"]
    worker.prove()
    worker.kill("SIGTERM")
    assert store.beacon("w1@host").leaving  # type: ignore[union-attr]
    assert [key for key in admin.scan_iter() if not key.startswith(PREFIX.encode())] == []


def test_a_user_who_may_do_what_the_agent_needs_and_nothing_else(
    start_redis: StartRedis, start_agent_worker: StartAgentWorker
) -> None:
    """The store's user needs a handful of commands on keys below the prefix."""
    server = start_redis()
    admin = server.client()
    admin.execute_command(*documented_rule("agent"))
    worker = start_agent_worker(
        AgentStore(admin),
        *SOLO,
        node="w1@host",
        broker=start_redis().url,
        env={"MONITOR_REDIS_URL": f"redis://agent:pw@127.0.0.1:{server.port}/0"},
    )
    assert worker.beacon(lambda beacon: beacon.direct).client_id is not None
    worker.prove()
    worker.kill("SIGTERM")
    assert worker.store.beacon("w1@host").leaving  # type: ignore[union-attr]
    refused = {(entry["reason"], entry["object"]) for entry in admin.acl_log()}
    assert refused == set()


def test_who_may_not_ask_for_the_connection(start_redis: StartRedis, start_agent_worker: StartAgentWorker) -> None:
    """Without the rights for CLIENT ID and CLIENT SETNAME the beacon comes without the id."""
    server = start_redis()
    admin = server.client()
    admin.execute_command("ACL", "SETUSER", "shop", "on", ">pw", "~*", "&*", "+@all", "-client")
    worker = start_agent_worker(
        AgentStore(admin), *SOLO, node="w1@host", broker=f"redis://shop:pw@127.0.0.1:{server.port}/0"
    )
    assert worker.beacon(lambda beacon: beacon.direct).client_id is None
    worker.prove()


@pytest.mark.parametrize("celery", VERSIONS)
def test_a_unix_socket(start_redis: StartRedis, start_agent_worker: StartAgentWorker, celery: str) -> None:
    """The broker's socket, database and password are the store's."""
    server = start_redis()
    with server.client() as admin:
        admin.execute_command("ACL", "SETUSER", "default", ">pw")
    store = AgentStore(server.client(db=3, password="pw"))
    broker = f"redis+socket://:pw@{server.unix_path}?virtual_host=3"
    worker = start_agent_worker(store, *SOLO, node="w1@host", broker=broker, celery=celery)
    assert worker.beacon(lambda beacon: beacon.direct).client_id is not None
    worker.prove()


@pytest.mark.parametrize("celery", VERSIONS)
def test_tls(start_redis: StartRedis, start_agent_worker: StartAgentWorker, tmp_path: Path, celery: str) -> None:
    """`rediss://` with `broker_use_ssl`: the store is reached with the same certificates."""
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    server = start_redis()
    port = free_port()
    server.client().config_set("tls-cert-file", str(certificate), "tls-key-file", str(key), "tls-auth-clients", "no")
    server.client().config_set("tls-port", port)
    worker = start_agent_worker(
        AgentStore(server.client()),
        *SOLO,
        node="w1@host",
        broker=f"rediss://127.0.0.1:{port}/0",
        celery=celery,
        tls={"ssl_cert_reqs": "required", "ssl_ca_certs": str(certificate)},
    )
    assert worker.beacon(lambda beacon: beacon.direct).client_id is not None
    worker.prove()


def test_rabbitmq(rabbitmq_server: RabbitServer, start_redis: StartRedis, start_agent_worker: StartAgentWorker) -> None:
    """Heartbeats travel the project's own broker; beacons and results go to the monitor's Redis."""
    redis_server = start_redis()
    store = AgentStore(redis_server.client())
    workers = {
        f"orders-{celery}": start_agent_worker(
            store,
            *("-c", "2", "-Q", f"orders-{celery}"),
            node=f"w-{celery}@host",
            broker=rabbitmq_server.url,
            celery=celery,
            env={"MONITOR_REDIS_URL": redis_server.url},
        )
        for celery in VERSIONS
    }
    for queue, worker in workers.items():
        beacon = worker.beacon(lambda beacon: beacon.direct)
        assert (beacon.queues, beacon.pool, beacon.slots) == ((queue,), "prefork", 2)
        worker.prove()
        worker.wait_for_execution(worker.heartbeat("queue", queue), "queue", queue)
        with rabbitmq_server.connect() as connection:
            _, messages, consumers = connection.channel().queue_declare(beacon.direct_queue, passive=True)
        assert (messages, consumers) == (0, 1)
        worker.kill("SIGTERM")
        assert store.beacon(worker.node).leaving  # type: ignore[union-attr]


def test_rabbitmq_without_a_store_is_said_once(
    rabbitmq_server: RabbitServer, start_redis: StartRedis, start_agent_worker: StartAgentWorker
) -> None:
    """Nobody has said where our Redis is: the worker works, without a queue of ours, and the log says why."""
    worker = start_agent_worker(AgentStore(start_redis().client()), *SOLO, node="w1@host", broker=rabbitmq_server.url)
    wait_for(lambda: "w1@host ready" in worker.logs(), seconds=30, what="the worker is ready")
    assert worker.logs().count("MONITOR_REDIS_URL") == 1
    assert "monitor.worker." not in worker.logs()


def test_sentinel_fails_over(sentinels: Sentinels, start_agent_worker: StartAgentWorker) -> None:
    """The master is killed: beacons go to the new one within seconds, and heartbeats once Celery is back there."""
    old, new = sentinels.master, sentinels.replica
    store = AgentStore(old.client())
    workers = [
        start_agent_worker(
            store,
            *SOLO,
            node=f"w-{celery}@host",
            broker=sentinels.addresses,
            celery=celery,
            transport_options={
                "master_name": MASTER,
                "sentinel_kwargs": {"password": sentinels.SENTINEL_PASSWORD},
                "socket_timeout": 2,
            },
        )
        for celery in VERSIONS
    ]
    for worker in workers:
        worker.beacon(lambda beacon: beacon.direct)
        worker.prove()
    wait_for(lambda: new.client().hlen(store.keys.beacons) == len(workers), what="the replica has them, too")
    old.kill()
    wait_for(lambda: sentinels.master_port() == new.port, seconds=30, what="a new master")
    store = AgentStore(new.client())
    after = store.now_us()
    for worker in workers:
        worker.store = store
        wait_for(lambda: store.written_us(worker.node) > after, seconds=30, what="a beacon at the new master")  # noqa: B023
        worker.beacon(lambda beacon: beacon.connected and beacon.restarts > 0, what="its consumer is back")
        worker.prove()


def test_the_store_behind_sentinels(sentinels: Sentinels) -> None:
    """The monitor's side: a store by a `sentinel://` URL is at the new master after the old one was killed."""
    store = RedisStore(sentinels.url)
    assert store.states.read().states == {}
    sentinels.master.kill()
    wait_for(lambda: sentinels.master_port() == sentinels.replica.port, seconds=30, what="a new master")
    started = time.monotonic()
    assert store.states.read().states == {}
    assert time.monotonic() - started < 5
    store.close()
