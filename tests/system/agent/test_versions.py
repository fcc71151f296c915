"""Agents and monitors of different versions, as in a rolling upgrade: both work, and the older side is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monitor.model.checks import Result
from tests.support.agents import AgentStore, StartAgentWorker
from tests.support.earlier_version import start_earlier
from tests.support.processes import wait_for
from tests.support.roles import FailureText, Monitor, StartMonitor

CONFIG = """
[workers]
interval = "1s"
[checks.celery]
kind = "celery"
interval = "1s"
groups = ["ready"]
"""


def wait_for_consuming(monitor: Monitor, node: str, worker: Any) -> dict[str, Result]:
    """The results, once the worker has executed a heartbeat and is judged as consuming by heartbeats."""

    def consuming() -> dict[str, Result] | None:
        results = monitor.results()
        data = results[f"worker:{node}"].data if f"worker:{node}" in results else {}
        is_judged = data.get("verdict") == "consuming" and data.get("latency_ms") is not None
        return results if is_judged and results["workers"].status == "ok" and "queue:celery" in results else None

    return wait_for(consuming, seconds=60, what=f"{FailureText(monitor, node)}\n{worker.logs()[-3000:]}")


def test_an_earlier_agent_with_this_monitor(
    start_monitor: StartMonitor, start_agent_worker: StartAgentWorker, earlier_version: Path
) -> None:
    """It is judged by its heartbeats, its reason is `outdated`, and no probe fails."""
    monitor = start_monitor(CONFIG)
    monitor.all_roles()
    with monitor.redis.client() as client:
        options = {"node": "old@h", "broker": monitor.redis.url, "package": earlier_version / "monitor"}
        worker = start_agent_worker(AgentStore(client), "-P", "threads", "-c", "2", **options)
        beacon = worker.beacon()
        assert beacon.version == ""
        results = wait_for_consuming(monitor, "old@h", worker)
    result = results["worker:old@h"]
    assert (result.status, result.reason, result.data["outdated"]) == ("ok", "outdated", "agent"), result
    assert result.data["withheld"] is False
    assert (results["workers"].reason, results["workers"].data["outdated"]) == ("outdated", 1)
    assert results["queue:celery"].data["verdict"] == "consumed"
    monitor.wait_for_ready(200)

    def detailed() -> dict[str, Any] | None:
        code, body = monitor.get("detailed")
        check = body.get("checks", {}).get("celery", {})
        return body if code == 200 and check.get("reason") == "outdated" else None

    body = wait_for(detailed, seconds=20, what=FailureText(monitor, "detailed shows it"))
    assert body["checks"]["celery"]["status"] == "ok"
    assert "agents older than the monitor: old@h" in body["checks"]["celery"]["message"]

    def listed() -> dict[str, Any] | None:
        entries = {each["name"]: each for each in monitor.get("workers")[1]["workers"]}
        return entries["old@h"] if entries["old@h"]["verdict"] == "consuming" else None

    entry = wait_for(listed, seconds=20, what=FailureText(monitor, "the endpoint lists it as consuming"))
    assert (entry["status"], entry["outdated"]) == ("ok", "agent")
    command = monitor.run("workers", COLUMNS="160")
    assert command.wait() == 0, command.logs()
    assert "consuming, outdated" in command.logs()
    assert "agents in these workers are older than the monitor: old@h" in command.logs()


def test_this_agent_with_an_earlier_monitor(
    start_monitor: StartMonitor, start_agent_worker: StartAgentWorker, earlier_version: Path
) -> None:
    """The earlier monitor ignores what it does not know, and judges the worker by its heartbeats."""
    monitor = start_monitor(CONFIG)
    for role in (("worker",), ("beat",), ("web", "--port", str(monitor.port))):
        start_earlier(monitor, earlier_version, *role)
    with monitor.redis.client() as client:
        options = {"node": "new@h", "broker": monitor.redis.url}
        worker = start_agent_worker(AgentStore(client), "-P", "threads", "-c", "2", **options)
        assert worker.beacon().version not in ("", "unknown")
        results = wait_for_consuming(monitor, "new@h", worker)
        assert not client.exists("monitor:aside"), client.hgetall("monitor:aside")
    assert results["worker:new@h"].status == "ok"
    assert "outdated" not in results["worker:new@h"].data, "the roles are not the earlier ones"
    command = start_earlier(monitor, earlier_version, "workers")
    assert command.wait() == 0, command.logs()
