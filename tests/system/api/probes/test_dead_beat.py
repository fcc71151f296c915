"""Who watches the watchman: when beat dies, readiness says so, and liveness does not."""

from __future__ import annotations

import time

from tests.support.load import LoadProcess
from tests.support.processes import wait_for
from tests.support.roles import StartMonitor

INTERVAL = 1.0
ROSTER = f"[defaults]\ninterval = {INTERVAL}\n" + "".join(
    f'[checks.{name}]\nkind = "python"\npath = "tests.support.user_checks:nothing"\ngroups = ["ready"]\n'
    for name in ("left", "right")
)


def test_ready_says_stale_when_beat_is_killed_and_recovers_with_it(start_monitor: StartMonitor) -> None:
    """503 with `stale` within 3 intervals + 1 s of beat's SIGKILL, 200 with a new beat; live is 200 throughout."""
    monitor = start_monitor(ROSTER)
    _, beat, _ = monitor.all_roles()
    monitor.wait_for_ready(200)
    live = f"http://127.0.0.1:{monitor.port}/api/health/live/"
    with LoadProcess(live, per_second=50, seconds=60, timeout_seconds=1, fresh=True) as load:
        beat.kill_alone()
        killed_at = time.monotonic()
        body = monitor.wait_for_ready(503, seconds=3 * INTERVAL + 1)
        stale_after = time.monotonic() - killed_at
        spawned_at = time.monotonic()
        with monitor.redis.client() as client:
            last = client.hget("monitor:dispatch", "cursor")
            monitor.beat()
            # How long a Python process takes to get going is the machine's affair, and not counted.
            wait_for(lambda: client.hget("monitor:dispatch", "cursor") != last, what="the new beat sends")
        began_at = time.monotonic()
        monitor.wait_for_ready(200, seconds=INTERVAL + 2)
        began, ready = began_at - spawned_at, time.monotonic() - began_at
        print(f"stale {stale_after:.2f} s after the kill; new beat sends {began:.2f} s, ready {ready:.2f} s later")
        answers = load.stop()
    assert "stale" in {check["status"] for check in body["checks"].values()}
    assert answers.statuses.keys() == {200}
    assert not answers.failures
