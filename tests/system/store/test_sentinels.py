"""Store and broker behind real Sentinels: the roles follow every fail-over."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import redis

from monitor.store.redis.store import RedisStore
from tests.support.processes import wait_for
from tests.support.refusals import ROSTER
from tests.support.roles import FailureText, Monitor
from tests.support.sentinels import MASTER, Sentinels, sentinels

__all__ = ["sentinels"]


@pytest.mark.parametrize("how", ["killed", "demoted"])
def test_roles_follow_a_fail_over(how: str, sentinels: Sentinels, tmp_path: Path) -> None:
    """The master dies, or is demoted while it lives, as in every managed fail-over."""
    urls = {"MONITOR_REDIS_URL": sentinels.url, "MONITOR_BROKER_URL": sentinels.url}
    monitor = Monitor(tmp_path, sentinels.master, ROSTER, urls)
    monitor.store.close()
    monitor.store = RedisStore(sentinels.url)
    try:
        roles = monitor.all_roles()
        monitor.wait_for_results("one", seconds=30)
        if how == "killed":
            sentinels.master.kill()
        else:
            _fail_over(sentinels)
        wait_for(lambda: sentinels.master_port() == sentinels.replica.port, seconds=30, what="a new master")
        started = time.monotonic()
        monitor.wait_for_results("one", after=time.time(), seconds=60)
        print(f"works {time.monotonic() - started:.1f} s after the new master")
        monitor.wait_for_ready(200, seconds=30)
        assert [role.status for role in roles] == ["running"] * 3, monitor.logs()
        assert "Traceback" not in "".join(role.logs() for role in roles[:2]), FailureText(monitor, "no traceback")
    finally:
        monitor.stop()


def _fail_over(sentinels: Sentinels) -> None:
    password = Sentinels.SENTINEL_PASSWORD
    with redis.Redis(port=sentinels.ports[0], password=password, socket_timeout=5) as client:
        client.execute_command("SENTINEL", "FAILOVER", MASTER)
