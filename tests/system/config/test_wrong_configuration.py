"""A configuration that cannot be used: everything that is wrong with it is said at once, and nothing starts."""

from __future__ import annotations

import pytest

from tests.support.roles import StartMonitor

FIVE_ERRORS = """
key_prefix = "with spaces"
intervall = 3
[checks.disk]
kind = "disc"
[checks.slow]
kind = "cpu"
interval = "1s"
timeout = "2s"
[checks.web]
kind = "http"
url = "https://example.com/"
colour = "red"
"""
KEYS = ("key_prefix", "intervall", "checks.disk.kind", "checks.slow.timeout", "checks.web.colour")


@pytest.mark.parametrize("role", ["worker", "beat", "web"])
def test_a_role_reports_all_errors_and_starts_nothing(role: str, start_monitor: StartMonitor) -> None:
    """Five errors, each with its key; a non-zero exit; not even a connection to Redis was made."""
    monitor = start_monitor(FIVE_ERRORS)
    with monitor.redis.client() as client:
        before = client.info("stats")["total_connections_received"]
        process = monitor.run(role)
        assert process.wait() == 2
        assert client.info("stats")["total_connections_received"] == before
    lines = [line for line in process.logs().splitlines() if line.startswith("  ")]
    assert "5 errors" in process.logs()
    assert len(lines) == 5, process.logs()
    for key in KEYS:
        assert any(line.strip().startswith(key) for line in lines), f"{key} is not in {lines}"
    assert "did you mean 'disk'?" in process.logs()


BROKERS = {
    "unknown transport": "carrierpigeon://127.0.0.1:{port}//",
    "port that is no number": "redis://127.0.0.1:port/0",
    "database that is no number": "redis://127.0.0.1:{port}/orders",
    "AMQP port that is no number": "amqp://127.0.0.1:port//",
    "Sentinels without a master": "sentinel://127.0.0.1:{port}/0",
    "no URL": "127.0.0.1:{port}",
    "socket without a path": "redis+socket://",
    "form of another client": "redis+sentinel://127.0.0.1:{port}/shop",
    "option that kombu does not know": "amqp://127.0.0.1:{port}//?colour=red",
}


@pytest.mark.parametrize("role", ["beat", "web"])
@pytest.mark.parametrize("url", BROKERS.values(), ids=BROKERS)
def test_a_broker_that_cannot_be_parsed(role: str, url: str, start_monitor: StartMonitor) -> None:
    """The role exits with 2 and names the setting, before it connects to anything."""
    monitor = start_monitor("[checks.disk]\nkind = 'disk'\n")
    with monitor.redis.client() as client:
        before = client.info("stats")["total_connections_received"]
        process = monitor.run(role, MONITOR_BROKER_URL=url.format(port=monitor.redis.port))
        assert process.wait() == 2, process.logs()
        assert client.info("stats")["total_connections_received"] == before
    assert "broker_url" in process.logs()
    assert "Traceback" not in process.logs()


@pytest.mark.parametrize("role", ["beat", "web"])
@pytest.mark.parametrize("url", ["redis://127.0.0.1/0?colour=red", "redis+sentinel://127.0.0.1/shop", "unix://"])
def test_a_store_that_cannot_be_reached_by_its_url(role: str, url: str, start_monitor: StartMonitor) -> None:
    """The role exits with 2 and names the setting."""
    process = start_monitor("[checks.disk]\nkind = 'disk'\n").run(role, MONITOR_REDIS_URL=url)
    assert process.wait() == 2, process.logs()
    assert "redis_url" in process.logs()
    assert "Traceback" not in process.logs()
