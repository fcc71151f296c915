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
