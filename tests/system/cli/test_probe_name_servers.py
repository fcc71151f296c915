"""`monitor probe worker` while a name server does not answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.faults import FaultProxy
from tests.support.names import NameServer, with_own_files
from tests.support.probed import NODES, Probed
from tests.support.redis_server import RedisServer, StartRedis

Proxy = Callable[[str, int], FaultProxy]


@pytest.mark.parametrize("pool", ["prefork", "gevent"])
def test_a_silent_name_server(
    probed: Probed, name_server: NameServer, fault_proxy: Proxy, tmp_path: Path, pool: str
) -> None:
    """The agent waits for the store's address, and for longer than its pulse may be late."""
    proxy = fault_proxy("127.0.0.1", probed.store.port)
    prefix = with_own_files({"/etc/resolv.conf": name_server.resolv_conf(tmp_path)})
    store = f"redis://store.{name_server.ZONE}:{proxy.port}/0"
    probed.start(NODES[0], "-P", pool, prefix=prefix, MONITOR_REDIS_URL=store)
    name_server.silent = True
    proxy.set("ok", cut=True)
    probed.wait_for(0, "store does not answer")
    probed.stays_alive("store does not answer")
    name_server.silent = False
    probed.wait_for(0, "was unreachable until")


@pytest.fixture
def on_one_redis(tmp_path: Path, start_redis: StartRedis, fault_proxy: Proxy) -> Iterator[Probed]:
    """The broker is the store."""
    server = start_redis()
    probed = Probed(tmp_path / "pulses", server, server, fault_proxy("127.0.0.1", server.port))
    yield probed
    probed.close()


def test_a_broker_that_celery_has_lost_to_a_silent_name_server(
    on_one_redis: Probed, name_server: NameServer, tmp_path: Path
) -> None:
    """Celery's connections are gone and it finds no address for others, while the agent's connection works."""
    url = f"redis://store.{name_server.ZONE}:{on_one_redis.store.port}/0"
    prefix = with_own_files({"/etc/resolv.conf": name_server.resolv_conf(tmp_path)})
    on_one_redis.start(prefix=prefix, MONITOR_REDIS_URL=url, CELERY_BROKER_URL=url)
    name_server.silent = True
    kill_connections(on_one_redis.store)
    on_one_redis.wait_for(0, "its broker does not answer")
    on_one_redis.stays_alive("is not judged", seconds=10)
    name_server.silent = False
    on_one_redis.wait_for(0, "was unreachable until")


def kill_connections(server: RedisServer) -> None:
    """Close all connections except those of agents."""
    with server.client() as admin:
        for client in admin.client_list():
            if not client["name"].startswith("monitor-agent:") and int(client["id"]) != admin.client_id():
                admin.client_kill_filter(_id=client["id"])
