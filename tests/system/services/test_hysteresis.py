"""One failure is confirmed, sooner than the interval, before anybody is told: through beat, worker and Redis."""

from __future__ import annotations

from monitor.model.checks import Status, Transition
from tests.support.processes import wait_for
from tests.support.roles import Monitor, Recorder, StartMonitor

INTERVAL = 3.0
ROSTER = f"""
[checks.flaky]
kind = "python"
path = "tests.support.user_checks:status"
arguments = {{key = "flaky"}}
interval = {INTERVAL}
failure_threshold = 3
success_threshold = 2
retry_interval = 0.3
groups = ["ready"]
"""


def test_a_failure_is_confirmed_by_looking_again_sooner(start_monitor: StartMonitor) -> None:
    """Three failures turn the state, two successes turn it back, one transition each; ready follows the state."""
    monitor = start_monitor(ROSTER)
    monitor.all_roles()
    monitor.wait_for_ready(200)
    with Recorder(monitor) as recorder, monitor.redis.client() as client:
        client.set("test:flaky", "error")
        _wait_for_state(monitor, Status.ERROR)
        monitor.wait_for_ready(503)
        client.set("test:flaky", "ok")
        _wait_for_state(monitor, Status.OK)
        monitor.wait_for_ready(200)
        runs = recorder.results["flaky"]
    failures = [run for run in runs if run.status is Status.ERROR]
    assert failures[2].observed_at - failures[0].observed_at < INTERVAL, "two retries fit into one interval"
    changes = [(t.old, t.new, t.run_id) for t in _transitions(monitor)]
    recovered = [run for run in runs if run.status is Status.OK and run.observed_at > failures[-1].observed_at]
    assert changes[1:] == [
        (Status.OK, Status.ERROR, failures[2].run_id),
        (Status.ERROR, Status.OK, recovered[1].run_id),
    ]


def test_a_single_failure_tells_nobody(start_monitor: StartMonitor) -> None:
    """A failure that is gone when the check looks again leaves the state as it was, without a transition."""
    monitor = start_monitor(ROSTER)
    monitor.all_roles()
    monitor.wait_for_ready(200)
    with Recorder(monitor) as recorder, monitor.redis.client() as client:
        client.set("test:flaky", "error")
        wait_for(lambda: any(r.status is Status.ERROR for r in recorder.results["flaky"]), what="one failure is seen")
        client.delete("test:flaky")
        failed = next(r for r in recorder.results["flaky"] if r.status is Status.ERROR)
        wait_for(
            lambda: (
                recorder.results["flaky"][-1].status is Status.OK
                and monitor.store.states.now() > failed.observed_at + 1
            ),
            what="it is well again",
        )
    assert monitor.store.states.read().states["flaky"].streak is None
    assert [t.new for t in _transitions(monitor)] == [Status.OK]
    assert monitor.get("ready")[0] == 200


def _transitions(monitor: Monitor) -> list[Transition]:
    """Those of the check; the monitor's own state has some, too."""
    return [transition for _, transition in monitor.store.states.transitions() if transition.check == "flaky"]


def _wait_for_state(monitor: Monitor, status: Status) -> None:
    wait_for(
        lambda: monitor.store.states.read().states["flaky"].status is status, seconds=20, what=f"flaky is {status}"
    )
