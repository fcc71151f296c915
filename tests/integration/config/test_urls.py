"""Redis URLs: one list of forms for the store and for the broker, in the words of redis-py and of Celery."""

from __future__ import annotations

import kombu
import pytest
import redis
from pydantic import SecretStr, ValidationError

from monitor.config import Config, load
from monitor.config.urls import celery_url
from monitor.lib.redis_pool import connection_pool
from monitor.lib.redis_urls import SCHEMES, for_redis_py

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


ANY_FORM = {
    "TCP": ("redis://:pw@h:1/2", "redis://:pw@h:1/2", "redis://:pw@h:1/2", {}),
    "TLS": (
        "rediss://h/0?ssl_cert_reqs=none",
        "rediss://h/0?ssl_cert_reqs=none",
        "rediss://h/0?ssl_cert_reqs=none",
        {},
    ),
    "Valkey": ("valkey://u:p%2Fw@h:1/2", "redis://u:p%2Fw@h:1/2", "redis://u:p%2Fw@h:1/2", {}),
    "Valkey with TLS": ("valkeys://h/0", "rediss://h/0", "rediss://h/0", {}),
    "options of redis-py": (
        "redis://h:1?db=3&password=p%2Fw&socket_timeout=5",
        "redis://h:1?db=3&password=p%2Fw&socket_timeout=5",
        "redis://:p%2Fw@h:1/3",
        {"socket_timeout": 5.0},
    ),
    "a socket": ("unix://:pw@/r.sock?db=3", "unix://:pw@/r.sock?db=3", "redis+socket://:pw@/r.sock?virtual_host=3", {}),
    "a socket in Celery's words": (
        "redis+socket://:pw@/r.sock?virtual_host=3",
        "unix://:pw@/r.sock?db=3",
        "redis+socket://:pw@/r.sock?virtual_host=3",
        {},
    ),
    "Sentinels": (
        "sentinel://:pw@a:1;sentinel://b/3?master_name=m&sentinel_password=s%26t",
        "sentinel://:pw@a:1;sentinel://b/3?master_name=m&sentinel_password=s%26t",
        "sentinel://:pw@a:1/3;sentinel://:pw@b/3",
        {"master_name": "m", "sentinel_kwargs": {"password": "s&t"}},
    ),
    "Sentinels with TLS": (
        "sentinel://a:1/0?master_name=m&ssl=true&ssl_ca_certs=ca.pem",
        "sentinel://a:1/0?master_name=m&ssl=true&ssl_ca_certs=ca.pem",
        "sentinel://a:1/0?ssl_cert_reqs=required&ssl_ca_certs=ca.pem",
        {"master_name": "m", "sentinel_kwargs": {"ssl": True, "ssl_ca_certs": "ca.pem"}},
    ),
}


@pytest.mark.parametrize(("url", "store", "broker", "options"), ANY_FORM.values(), ids=ANY_FORM)
def test_every_form_is_right_for_both_settings(url, store, broker, options):
    """`MONITOR_REDIS_URL` and `MONITOR_BROKER_URL` take the same forms, and both clients get what they know."""
    for environ in ({"MONITOR_REDIS_URL": url}, {"MONITOR_REDIS_URL": "redis://other", "MONITOR_BROKER_URL": url}):
        config = load(environ=environ).config
        assert config.broker_url.get_secret_value() == broker, environ
        assert config.broker_transport_options == options, environ
    assert load(environ={"MONITOR_REDIS_URL": url}).config.redis_url.get_secret_value() == store
    connection_pool(url, timeout_seconds=1)
    kombu.Connection(broker, transport_options=options).get_transport_cls()


def test_brokers_that_replace_one_another_are_a_list():
    """Of Celery's list each Redis may have a form that Celery does not know."""
    config = load(environ={"MONITOR_REDIS_URL": "redis://h", "MONITOR_BROKER_URL": "valkey://a:1/0;amqp://b//"}).config
    assert config.broker_url.get_secret_value() == "redis://a:1/0;amqp://b//"


def test_options_of_celery_win_over_those_of_the_url():
    """What `broker_transport_options` says stays."""
    config = load(
        django_settings={"broker_transport_options": {"socket_timeout": 9}},
        environ={"MONITOR_REDIS_URL": "redis://h", "MONITOR_BROKER_URL": "redis://h/0?socket_timeout=5"},
    ).config
    assert config.broker_transport_options == {"socket_timeout": 9}


@pytest.mark.parametrize("scheme", [scheme for scheme in SCHEMES if SCHEMES[scheme] in {"redis", "unix"}])
def test_both_clients_reach_the_server_by_every_form(scheme, start_redis):
    """A key that redis-py writes and a message that kombu publishes are in the database that the URL names."""
    server = start_redis()
    place = f"{server.unix_path}?db=3" if SCHEMES[scheme] == "unix" else f"127.0.0.1:{server.port}/3"
    config = load(environ={"MONITOR_REDIS_URL": f"{scheme}://{place}"}).config
    with redis.Redis(connection_pool=connection_pool(f"{scheme}://{place}", timeout_seconds=5)) as client:
        client.set("key", "value")
    with kombu.Connection(config.broker_url.get_secret_value()) as connection:
        queue = connection.SimpleQueue("here")
        queue.put("hello")
        queue.close()
    with server.client(db=3) as client:
        assert (client.get("key"), client.llen("here")) == (b"value", 1)


def test_what_has_been_rewritten_stays():
    """The store's URL is handed on to other processes, which read it again."""
    for url, *_ in ANY_FORM.values():
        assert for_redis_py(for_redis_py(url)) == for_redis_py(url)
