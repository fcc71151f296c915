"""The stores that the contract is tested over, and the values it is tested with."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from monitor.store.memory.store import MemoryStore
from monitor.store.redis.store import RedisStore
from tests.support.redis_server import BINARIES, RedisServer

SharedRedis = Callable[[str], RedisServer]


@pytest.fixture(params=BINARIES)
def server(request: pytest.FixtureRequest, shared_redis: SharedRedis) -> RedisServer:
    """The session's Redis, and then its Valkey."""
    return shared_redis(request.param)


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    """A plain client of the server."""
    with server.client() as client:
        yield client


@pytest.fixture
def redis_store(server: RedisServer, key_prefix: str) -> Iterator[RedisStore]:
    """A store of our own on a shared server."""
    store = RedisStore(server.url, prefix=key_prefix)
    yield store
    store.close()


@pytest.fixture(params=["memory", *BINARIES])
def store(
    request: pytest.FixtureRequest, shared_redis: SharedRedis, key_prefix: str
) -> Iterator[MemoryStore | RedisStore]:
    """Every store there is, one after the other."""
    store: MemoryStore | RedisStore
    if request.param == "memory":
        store = MemoryStore()
    else:
        store = RedisStore(shared_redis(request.param).url, prefix=key_prefix)
    yield store
    store.close()
