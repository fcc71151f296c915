"""The store that a Celery application's own broker settings lead to."""

from __future__ import annotations

import ssl

import pytest

from monitor.agent import broker
from monitor.lib.redis_pool import connection_pool

MASTER = {"master_name": "m"}
TLS = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": "/ca.pem", "ssl_check_hostname": None}

STORES = {
    "none": (None, {}, None, None),
    "TCP": ("redis://:pw@h:1/2", {}, None, "redis://:pw@h:1/2"),
    "nothing but the scheme": ("redis://", {}, None, "redis://localhost:6379/0"),
    "a user, a password with a slash": ("redis://u:p%2Fw@h", {}, None, "redis://u:p%2Fw@h:6379/0"),
    "options of kombu's": ("redis://h/0?socket_timeout=3", {}, None, "redis://h:6379/0"),
    "IPv6": ("redis://[::1]:1/0", {}, None, "redis://[::1]:1/0"),
    "TLS": ("rediss://h/0?ssl_cert_reqs=CERT_NONE", {}, None, "rediss://h:6379/0?ssl_cert_reqs=none"),
    "TLS by a setting": ("redis://h/0", {}, TLS, "rediss://h:6379/0?ssl_cert_reqs=required&ssl_ca_certs=%2Fca.pem"),
    "a setting that kombu does not heed": ("redis://h/0", {}, True, "redis://h:6379/0"),
    "a socket": ("redis+socket:///r.sock", {}, None, "unix:///r.sock?db=0"),
    "a socket, database and password": ("redis+socket://:p@/r.sock?virtual_host=3", {}, None, "unix://:p@/r.sock?db=3"),
    "Sentinels": (
        "sentinel://:p@a:1;sentinel://b:2/3", MASTER, None, "sentinel://:p@a:1;sentinel://b:2/3?master_name=m",
    ),
    "Sentinels with a password": (
        "sentinel://a", {**MASTER, "sentinel_kwargs": {"password": "s&t"}}, None,
        "sentinel://a:26379/0?master_name=m&sentinel_password=s%26t",
    ),
    "Sentinels over TLS": (
        "sentinel://a", MASTER, {"ssl_cert_reqs": ssl.CERT_NONE},
        "sentinel://a:26379/0?master_name=m&ssl=true&ssl_cert_reqs=none",
    ),
    "Sentinels of whom": ("sentinel://a", {}, None, None),
    "RabbitMQ": ("amqp://guest@h//", {}, None, None),
    "several servers": ("redis://a;redis://b", {}, None, None),
    "memory": ("memory://", {}, None, None),
}  # fmt: skip


@pytest.mark.parametrize(("url", "options", "tls", "store"), STORES.values(), ids=STORES)
def test_store_url(url, options, tls, store):
    """A Redis broker is a store, in the words of `redis_url`; no other broker is."""
    found = broker.store_url(url, options, tls)
    assert found == store
    if found is not None:
        connection_pool(found, timeout_seconds=1)


@pytest.mark.parametrize(
    ("options", "prefix"),
    [({}, None), ({"global_keyprefix": ""}, None), ({"global_keyprefix": "shop:"}, "shop:monitor:")],
)
def test_key_prefix(options, prefix):
    """Behind a global key prefix our keys have it too."""
    assert broker.key_prefix(options) == prefix


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("amqp://u:p@h//", (("h", 5672),)),
        ("amqps://h:1/v", (("h", 1),)),
        ("amqp://a;b:3", (("a", 5672), ("b", 3))),
        ("sentinel://a;sentinel://b", (("a", 26379), ("b", 26379))),
        ("redis+socket:///r.sock", ()),
        (None, ()),
    ],
)
def test_addresses(url, addresses):
    """Where a broker is tried."""
    assert broker.addresses(url) == addresses
