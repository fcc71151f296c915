"""The store's URL in Celery's words."""

from __future__ import annotations

import kombu
import pytest
from pydantic import SecretStr

from monitor.config import Config
from monitor.config.urls import celery_url

URLS = {
    "TCP stays": ("redis://:pw@h:1/2", "redis://:pw@h:1/2"),
    "TLS stays": ("rediss://h/0", "rediss://h/0"),
    "a socket": ("unix:///run/r.sock", "redis+socket:///run/r.sock?virtual_host=0"),
    "a socket's database": ("unix:///r.sock?db=3", "redis+socket:///r.sock?virtual_host=3"),
    "a socket's password": ("unix://:pw@/r.sock", "redis+socket://:pw@/r.sock?virtual_host=0"),
    "a password in the query": ("unix:///r.sock?password=p%2Fw", "redis+socket://:p%2Fw@/r.sock?virtual_host=0"),
}


@pytest.mark.parametrize(("store", "broker"), URLS.values(), ids=URLS)
def test_celery_url(store, broker):
    """What redis-py calls unix:// has another name, and another word for the database."""
    assert celery_url(SecretStr(store)).get_secret_value() == broker


@pytest.mark.parametrize("user_info", ["", ":secret@", "someone:secret@"], ids=["open", "password", "user"])
def test_celery_reaches_the_store_by_a_socket(start_redis, user_info):
    """A message that kombu publishes by the derived URL is in the database that the store's URL names."""
    server = start_redis()
    if user_info:
        with server.client() as client:
            client.acl_setuser(
                "someone", enabled=True, passwords="+secret", keys=["*"], channels=["*"], categories=["+@all"]
            )
            client.config_set("requirepass", "secret")
    store = SecretStr(f"unix://{user_info}{server.unix_path}?db=3")
    broker = Config(redis_url=store).broker_url
    assert broker is not None
    with kombu.Connection(broker.get_secret_value()) as connection:
        queue = connection.SimpleQueue("here")
        queue.put("hello")
        queue.close()
    with server.client(db=3, password="secret" if user_info else None) as client:
        assert client.llen("here") == 1


@pytest.mark.parametrize(
    ("settings", "broker"),
    [
        pytest.param({}, None, id="nothing is known"),
        pytest.param({"redis_url": "redis://h"}, "redis://h", id="the store's Redis"),
        pytest.param({"redis_url": "redis://h", "broker_url": "amqp://b"}, "amqp://b", id="said"),
        pytest.param({"redis_url": "redis://h", "celery_app": "a.b:c"}, None, id="the Celery app will say"),
    ],
)
def test_the_broker_that_is_not_named(settings, broker):
    """It is the store's Redis, unless a Celery application has a broker of its own."""
    found = Config(**settings).broker_url
    assert (found and found.get_secret_value()) == broker
