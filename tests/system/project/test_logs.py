"""The log of the roles beside a project that logs everything, and the log of a project that runs the checks."""

from __future__ import annotations

import json
import sys

from tests.support.roles import StartMonitor

TOML = """
[checks.celery]
kind = "celery"
interval = 1

[checks.disk]
kind = "disk"
interval = 1
"""
PROJECT = {"MONITOR_CELERY_APP": "tests.support.user_app:app", "TEST_LOGGING": "module", "MONITOR_LOG_FORMAT": "json"}


def test_the_roles_log_in_their_own_format_and_level(start_monitor: StartMonitor) -> None:
    """The project has set `celery` to DEBUG, with a handler of its own. Check processes import it, too."""
    monitor = start_monitor(TOML, env=PROJECT)
    roles = [monitor.worker(TEST_BROKER=monitor.redis.url), monitor.beat(TEST_BROKER=monitor.redis.url)]
    first = monitor.wait_for_results("celery", "disk", seconds=60)
    newest = max(result.observed_at for result in first.values())
    monitor.wait_for_results("celery", "disk", after=newest + 3, seconds=60)
    events = [json.loads(line) for role in roles for line in role.logs().splitlines() if line.startswith("{")]
    assert {"celery", "monitor"} <= {str(event["logger"]).partition(".")[0] for event in events}
    assert [event for event in events if event["level"] == "debug"] == []
    assert "beat: Waking up" not in roles[1].logs()
    _, _, started = roles[0].logs().partition("\n{")  # before that, the import of the project logs
    assert [line for line in started.splitlines() if line.startswith("own ")] == []


def test_a_project_that_runs_the_checks(start_monitor: StartMonitor) -> None:
    """Its log has the events of the monitor from level info on, in its format, and no line for each task."""
    monitor = start_monitor(TOML)
    env = {"TEST_BROKER": monitor.redis.url, "TEST_INSTALL": "run_checks", "TEST_LOGGING": "setup_logging"}
    env["TEST_CONF"] = "{'task_annotations': None, 'task_default_rate_limit': None}"
    celery = [sys.executable, "-m", "celery", "-A", "tests.support.user_app"]
    worker = monitor.start([*celery, "worker", "-l", "INFO", "-c", "2"], **env)
    monitor.start([*celery, "beat", "-s", str(monitor.redis.directory / "schedule")], **env)
    first = monitor.wait_for_results("celery", "disk", seconds=60)
    newest = max(result.observed_at for result in first.values())
    monitor.wait_for_results("celery", "disk", after=newest + 3, seconds=60)
    lines = worker.logs().splitlines()
    assert any(line.startswith("own INFO monitor.tasks check.completed") for line in lines)
    assert [line for line in lines if "monitor.tasks." in line and not line.strip().startswith(". ")] == []
    assert [line for line in lines if "DEBUG monitor" in line or "dispatch.sent" in line] == []
