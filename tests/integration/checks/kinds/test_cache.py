"""The kind `cache` against real Redis servers, with the entries that Django projects have in `settings.CACHES`."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache.backends.redis import RedisCache
from django.test import override_settings
from django_redis.cache import RedisCache as DjangoRedisCache
from django_redis.pool import ConnectionFactory

from monitor.checks.registry import KINDS
from monitor.lib import django_caches
from monitor.lib.redis_pool import connection_pool
from monitor.model.checks import Outcome, Status
from tests.support.faults import Freezer
from tests.support.processes import free_port, wait_for
from tests.support.redis_server import RedisServer, StartRedis

DJANGO = "django.core.cache.backends.redis.RedisCache"
DJANGO_REDIS = "django_redis.cache.RedisCache"
PASSWORD = "sword/fi@sh, 100%"

pytestmark = pytest.mark.usefixtures("django")


def run(entry: dict[str, Any], timeout_seconds: float = 2.0, **options: Any) -> Outcome:
    """Run the check of the cache `default` with this entry."""
    with override_settings(CACHES={"default": entry}):
        return KINDS.build("cache", options).run(timeout_seconds)


def verdict(outcome: Outcome) -> tuple[Status, str | None]:
    return outcome.status, outcome.reason


@pytest.mark.parametrize(
    ("backend", "options"),
    [
        (DJANGO, {"password": PASSWORD, "db": 3}),
        (DJANGO, {"username": "default", "password": PASSWORD, "db": "3"}),
        (DJANGO_REDIS, {"PASSWORD": PASSWORD, "CONNECTION_POOL_KWARGS": {"db": 3}}),
        (DJANGO_REDIS, {"CONNECTION_POOL_KWARGS": {"password": PASSWORD, "db": 3, "max_connections": 10}}),
    ],
)
def test_a_cache_with_a_password(backend: str, options: dict[str, Any], start_redis: StartRedis) -> None:
    """The written key has the cache's own prefix and expires. A wrong password is a reason of its own."""
    server = start_redis()
    with server.client() as client:
        client.config_set("requirepass", PASSWORD)
    entry = {
        "BACKEND": backend,
        "LOCATION": f"redis://127.0.0.1:{server.port}",
        "OPTIONS": options,
        "KEY_PREFIX": "shop",
        "VERSION": None,
    }
    outcome = run(entry)
    assert verdict(outcome) == (Status.OK, None), outcome.message
    assert outcome.data["servers"] == 1
    with server.client(db=3, password=PASSWORD) as client:
        assert 0 < client.pttl("shop:None:monitor-canary") <= 60_000
    guessed = run({**entry, "OPTIONS": {"PASSWORD": "guessed"} if backend == DJANGO_REDIS else {"password": "guessed"}})
    assert verdict(guessed) == (Status.ERROR, "authentication")
    assert "guessed" not in repr(guessed)


def test_a_socket(redis_server: RedisServer) -> None:
    """As in paperless on one machine."""
    entry = {"BACKEND": DJANGO, "LOCATION": f"unix://{redis_server.unix_path}?db=2"}
    assert verdict(run(entry)) == (Status.OK, None)


@pytest.mark.parametrize("separator", [",", ";", None])
def test_a_replica_is_only_read(separator: str | None, redis_server: RedisServer, start_redis: StartRedis) -> None:
    """The first server of a cache is written. If a replica fails, the cache fails for its readers."""
    replica = start_redis("--replicaof", "127.0.0.1", str(redis_server.port))

    def synchronised() -> bool:
        with replica.client() as client:
            return client.info("replication")["master_link_status"] == "up"

    wait_for(synchronised, what="the replica is synchronised")
    urls = [redis_server.url, replica.url]
    entry = {"BACKEND": DJANGO, "LOCATION": separator.join(urls) if separator else urls}
    outcome = run(entry)
    assert (verdict(outcome), outcome.data["servers"]) == ((Status.OK, None), 2)
    assert verdict(run({**entry, "LOCATION": urls[::-1]})) == (Status.ERROR, "read_only")
    shards = {"BACKEND": DJANGO_REDIS, "OPTIONS": {"CLIENT_CLASS": "django_redis.client.ShardClient"}}
    assert verdict(run({**shards, "LOCATION": urls})) == (Status.ERROR, "read_only")
    replica.stop()
    assert verdict(run(entry)) == (Status.ERROR, "refused")


def test_a_cache_that_does_not_answer(start_redis: StartRedis, freezer: Freezer) -> None:
    """Django has no timeout here, and redis-py would try ten times."""
    server = start_redis()
    freezer.freeze(server.pid)
    assert verdict(run({"BACKEND": DJANGO, "LOCATION": server.url}, 0.5)) == (Status.ERROR, "timeout")
    refused = run({"BACKEND": DJANGO_REDIS, "LOCATION": f"redis://127.0.0.1:{free_port()}/0"}, 5.0)
    assert verdict(refused) == (Status.ERROR, "refused")


def test_a_user_that_is_limited_to_the_prefix_of_the_cache(start_redis: StartRedis) -> None:
    """No other key is touched."""
    server = start_redis()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "shop", "on", ">x", "~shop:*", "+ping", "+client", "+set")
    entry = {"BACKEND": DJANGO, "LOCATION": f"redis://shop:x@127.0.0.1:{server.port}/0", "KEY_PREFIX": "shop"}
    assert verdict(run(entry)) == (Status.OK, None)
    assert verdict(run({**entry, "KEY_PREFIX": "other"})) == (Status.ERROR, "permission")


def test_a_nearly_full_cache_is_a_warning_only_where_nothing_is_evicted(start_redis: StartRedis) -> None:
    """As for the kind `redis`."""
    full = {"BACKEND": DJANGO, "LOCATION": start_redis("--maxmemory", "20mb").url}
    assert verdict(run(full, warning_memory_percent=0.1)) == (Status.WARNING, "above_threshold")
    evicting = {
        "BACKEND": DJANGO,
        "LOCATION": start_redis("--maxmemory", "20mb", "--maxmemory-policy", "allkeys-lru").url,
    }
    assert verdict(run(evicting, warning_memory_percent=0.1)) == (Status.OK, None)


@pytest.mark.parametrize(
    ("entry", "options", "reason"),
    [
        ({"BACKEND": DJANGO, "LOCATION": "redis://h/0"}, {"alias": "other"}, "unknown_alias"),
        ({"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}, {}, "not_redis"),
        ({"BACKEND": DJANGO, "LOCATION": "redis://:hush/hush@h:6379/0"}, {}, "not_configured"),
        ({"BACKEND": DJANGO, "LOCATION": "redis://:hush@[h/0"}, {}, "not_configured"),
        ({"BACKEND": DJANGO, "LOCATION": "redis://:hush@h/0?hush=1"}, {}, "not_configured"),
        ({"BACKEND": DJANGO, "LOCATION": "redis://h/0", "KEY_FUNCTION": "no.such.function"}, {}, "not_configured"),
    ],
)
def test_wrong_settings(entry: dict[str, Any], options: dict[str, Any], reason: str) -> None:
    """Each with its reason. No text quotes a piece of an address."""
    outcome = run(entry, **options)
    assert verdict(outcome) == (Status.ERROR, reason)
    assert "hush@" not in repr(outcome) and "hush/hush" not in repr(outcome)


@pytest.mark.parametrize(
    ("location", "options"),
    [
        ("redis://h:6380/2", {}),
        ("redis://h", {"db": "10", "username": "u", "password": PASSWORD}),
        ("redis://other:secret@h:1/3", {"db": "10", "username": "u", "password": "p"}),
        ("redis://other@h:1/3", {"password": "p"}),
        ("redis://h:1?db=7", {"db": 2}),
        ("redis://h:1/3;redis://r:2/3", {"password": PASSWORD}),
        ("rediss://h:1/0?ssl_cert_reqs=none", {"ssl_cert_reqs": "required"}),
        ("rediss://h:1/0", {"ssl_cert_reqs": "none", "ssl_ca_certs": "/ca.pem", "ssl_check_hostname": False}),
        ("unix:///run/redis.sock", {"db": 5, "password": "q"}),
    ],
)
def test_the_connection_is_that_of_djangos_own_backend(location: str, options: dict[str, Any]) -> None:
    """Server, database, login and TLS, compared with the connection pool that Django makes."""
    entry = {"BACKEND": DJANGO, "LOCATION": location, "OPTIONS": options}
    ours = [connection_pool(server.url, timeout_seconds=1) for server in django_caches.servers(entry)]
    cache = RedisCache(location, {"OPTIONS": options})._cache
    theirs = [cache._pool_class.from_url(url, **cache._pool_options) for url in cache._servers]
    assert [_facts(pool) for pool in ours] == [_facts(pool) for pool in theirs]


@pytest.mark.parametrize(
    ("location", "options"),
    [
        ("redis://h:1/1", {"USERNAME": "u", "PASSWORD": PASSWORD}),
        ("redis://:own@h:1/1", {"PASSWORD": "p"}),
        ("redis://h:1/1,redis://r:2/1", {"PASSWORD": "p"}),
        (["redis://h:1/1", "redis://r:2/1"], {"CONNECTION_POOL_KWARGS": {"password": "p", "max_connections": 9}}),
        ("redis://h:1?db=7", {"CONNECTION_POOL_KWARGS": {"db": 3}}),
        ("rediss://h:1", {"CONNECTION_POOL_KWARGS": {"ssl_cert_reqs": "none", "db": 3}}),
        ("unix:///run/redis.sock?db=2", {"PASSWORD": "p"}),
    ],
)
def test_the_connection_is_that_of_django_redis(location: Any, options: dict[str, Any]) -> None:
    """Server, database, login and TLS, compared with the connection pools of its client."""
    entry = {"BACKEND": DJANGO_REDIS, "LOCATION": location, "OPTIONS": options}
    ours = [connection_pool(server.url, timeout_seconds=1) for server in django_caches.servers(entry)]
    client: Any = DjangoRedisCache(location, {"OPTIONS": options}).client
    theirs = []
    for index in range(len(client._server)):
        ConnectionFactory._pools.clear()  # it keeps the pool of each address, whatever the options are
        theirs.append(client.connect(index).connection_pool)
    assert [_facts(pool) for pool in ours] == [_facts(pool) for pool in theirs]


def test_sentinels_of_django_redis() -> None:
    """As in pretix. Both locations of a master that may be read from replicas name one master."""
    options = {
        "CONNECTION_FACTORY": "django_redis.pool.SentinelConnectionFactory",
        "SENTINELS": [("s1", 26379), ["::1", 26380]],
        "SENTINEL_KWARGS": {"password": "other", "socket_timeout": 1},
        "PASSWORD": PASSWORD,
    }
    locations = ["redis://mymaster/3?is_master=1", "redis://mymaster/3?is_master=0"]
    [server] = django_caches.servers({"BACKEND": DJANGO_REDIS, "LOCATION": locations, "OPTIONS": options})
    pool: Any = connection_pool(server.url, timeout_seconds=1)
    sentinels = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
    assert (pool.service_name, pool.connection_kwargs["db"], pool.connection_kwargs["password"]) == (
        "mymaster",
        3,
        PASSWORD,
    )
    assert [(each["host"], each["port"], each["password"]) for each in sentinels] == [
        ("s1", 26379, "other"),
        ("::1", 26380, "other"),
    ]
    assert "sword" not in repr(server)


def test_tls_options_of_django_redis() -> None:
    """As in plane: `False` means that the certificate is not verified."""
    options = {"CONNECTION_POOL_KWARGS": {"ssl_cert_reqs": False}}
    [server] = django_caches.servers({"LOCATION": "rediss://h:1/0", "OPTIONS": options})
    assert connection_pool(server.url, timeout_seconds=1).connection_kwargs["ssl_cert_reqs"] == "none"


def _facts(pool: Any) -> dict[str, Any]:
    names = ("host", "port", "path", "username", "password", "ssl_cert_reqs", "ssl_ca_certs", "ssl_check_hostname")
    facts = {name: pool.connection_kwargs.get(name) for name in names}
    return {**facts, "db": int(pool.connection_kwargs.get("db", 0)), "class": pool.connection_class.__name__}
