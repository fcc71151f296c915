"""Real Redis Sentinels for a master and its replica, for tests of a failover."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support.processes import free_port, missing, wait_for
from tests.support.redis_server import RedisServer, find_binary

MASTER = "shop"


class Sentinels:
    """Three Sentinels. They and the master need a password."""

    PASSWORD = "pw/1"
    SENTINEL_PASSWORD = "watch&see"

    def __init__(self) -> None:
        login = ("--requirepass", self.PASSWORD, "--masterauth", self.PASSWORD)
        name = "redis-server"
        binary = find_binary(name) or missing(name)
        self.master = _Protected(*login, binary=binary)
        replica_of = ("--replicaof", f"127.0.0.1 {self.master.port}")
        self.replica = _Protected(*login, *replica_of, binary=binary)
        self.ports = [free_port() for _ in range(3)]
        self._directory = Path(tempfile.mkdtemp(prefix="sentinels-test-"))
        self._processes = [self._start(port) for port in self.ports]
        wait_for(self._all_know, seconds=30, what=f"the Sentinels know one another and the replica: {self._directory}")

    @property
    def addresses(self) -> str:
        """Return all addresses in Celery's form, with the master's password."""
        return ";".join(f"sentinel://:pw%2F1@127.0.0.1:{port}/0" for port in self.ports)

    @property
    def url(self) -> str:
        """Return the current master in the form of `redis_url`."""
        hosts = ";sentinel://".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"sentinel://:pw%2F1@{hosts}/0?master_name={MASTER}&sentinel_password=watch%26see"

    def master_port(self) -> int:
        """Return the port of the current master, according to the first Sentinel."""
        with self._client(self.ports[0]) as client:
            return int(client.sentinel_get_master_addr_by_name(MASTER)[1])

    def stop(self) -> None:
        """Stop everything."""
        for process in self._processes:
            process.kill()
            process.wait()
        self.master.stop()
        self.replica.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _start(self, port: int) -> subprocess.Popen[bytes]:
        file = self._directory / f"{port}.conf"
        file.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {self._directory}\nlogfile {self._directory}/{port}.log\n"
            f'requirepass "{self.SENTINEL_PASSWORD}"\nsentinel sentinel-pass "{self.SENTINEL_PASSWORD}"\n'
            f"sentinel monitor {MASTER} 127.0.0.1 {self.master.port} 2\n"
            f'sentinel auth-pass {MASTER} "{self.PASSWORD}"\n'
            f"sentinel down-after-milliseconds {MASTER} 500\nsentinel failover-timeout {MASTER} 3000\n"
        )
        return subprocess.Popen([find_binary("redis-server") or "redis-server", str(file), "--sentinel"])

    def _all_know(self) -> bool:
        for port in self.ports:
            try:
                with self._client(port) as client:
                    state = client.sentinel_master(MASTER)
            except redis.RedisError:
                return False
            if (int(state["num-other-sentinels"]), int(state["num-slaves"])) != (2, 1):
                return False
        return True

    def _client(self, port: int) -> redis.Redis:
        return redis.Redis(port=port, password=self.SENTINEL_PASSWORD, decode_responses=True, socket_timeout=2)


class _Protected(RedisServer):
    def client(self, **options: object) -> redis.Redis:
        return super().client(**{"password": Sentinels.PASSWORD, **options})


@pytest.fixture
def sentinels() -> Iterator[Sentinels]:
    """Provide a private master, replica and three Sentinels."""
    found = Sentinels()
    yield found
    found.stop()
