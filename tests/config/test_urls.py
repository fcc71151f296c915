"""The store's URL in Celery's words."""

from __future__ import annotations

import kombu
import pytest
from pydantic import SecretStr, ValidationError

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


SENTINELS = {
    "one": ("sentinel://a:1/2?master_name=m", "sentinel://a:1/2", {"master_name": "m"}),
    "several, and a login": (
        "sentinel://u:p%2Fw@a:1;sentinel://b:2/3?master_name=m",
        "sentinel://u:p%2Fw@a:1/3;sentinel://u:p%2Fw@b:2/3",
        {"master_name": "m"},
    ),
    "no database": ("sentinel://a;sentinel://b?master_name=m", "sentinel://a/0;sentinel://b/0", {"master_name": "m"}),
    "a password of the Sentinels": (
        "sentinel://a:1?master_name=m&sentinel_password=s%26t",
        "sentinel://a:1/0",
        {"master_name": "m", "sentinel_kwargs": {"password": "s&t"}},
    ),
}


@pytest.mark.parametrize(("store", "broker", "options"), SENTINELS.values(), ids=SENTINELS)
def test_sentinels_as_store_and_broker(store, broker, options):
    """Celery is told where the Sentinels are by the URL, and which master by the transport options."""
    config = Config(redis_url=store)
    assert config.broker_url is not None
    assert config.broker_url.get_secret_value() == broker
    assert config.broker_transport_options == options
    elsewhere = Config(redis_url=store, broker_url="amqp://b")
    assert elsewhere.broker_transport_options == {}


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        pytest.param("sentinel://a:1/0", "master_name", id="no master"),
        pytest.param("sentinel://a:1;redis://b?master_name=m", "should be sentinel://", id="another kind"),
        pytest.param("sentinel://a:port?master_name=m", "should be sentinel://", id="no port number"),
        pytest.param("sentinel://a:1/x?master_name=m", "database number", id="no database number"),
    ],
)
def test_wrong_sentinels(wrong, hint):
    """What is wrong with a Sentinel URL is said, without the URL."""
    with pytest.raises(ValidationError, match=hint):
        Config(redis_url=wrong)
