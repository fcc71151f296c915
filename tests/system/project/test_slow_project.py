"""A project that is slow to import: roles wait for it, commands do not import it, and no role keeps it in memory."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil
import pytest

from tests.support.celery_nodes import HostProcess
from tests.support.processes import wait_for
from tests.support.redis_server import StartRedis
from tests.support.roles import FailureText, Monitor, StartMonitor

PROJECTS = Path(__file__).parents[2] / "support" / "slow_projects"
APPLICATION = "warehouse.celery:app"


class Warehouse:
    """Monitor of the stand-in project, and the log of the project's imports."""

    def __init__(self, monitor: Monitor, log: Path) -> None:
        self.monitor = monitor
        self._log = log

    def importers(self, part: str) -> list[int]:
        """Return the ids of the processes that have imported a part of the project."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [int(line.split()[1]) for line in lines if line.split()[0] == part]

    def command(self, *arguments: str, **env: str) -> HostProcess:
        """Run a command to its end."""
        process = self.monitor.run(*arguments, **env)
        process.wait(60)
        return process


@pytest.fixture
def warehouse(start_monitor: StartMonitor, start_redis: StartRedis, tmp_path: Path) -> Warehouse:
    """The project with its broker as the store; nothing runs yet."""
    redis, log = start_redis(), tmp_path / "imports"
    env = {
        "DJANGO_SETTINGS_MODULE": "warehouse.settings",
        "PYTHONPATH": os.pathsep.join((str(PROJECTS), os.environ.get("PYTHONPATH", ""))),
        "MONITOR_REDIS_URL": "",
        "WAREHOUSE_BROKER_URL": redis.url,
        "WAREHOUSE_LOG": str(log),
    }
    return Warehouse(start_monitor('[checks.cpu]\nkind = "cpu"\n', env, redis), log)


@pytest.mark.parametrize("imports", ["settings", "package", "celery_app"])
def test_no_role_imports_the_project(imports: str, warehouse: Warehouse) -> None:
    """Whether the package imports the application, the monitor's settings name it, or nobody does."""
    env = {
        "settings": {},
        "package": {"WAREHOUSE_IMPORTS_APPLICATION": "1"},
        "celery_app": {"MONITOR_CELERY_APP": APPLICATION, "WAREHOUSE_BROKER_IN_APPLICATION": "1"},
    }[imports]
    worker, beat = warehouse.monitor.worker(**env), warehouse.monitor.beat(**env)
    warehouse.monitor.wait_for_results("cpu", seconds=60)
    roles = {worker.pid, beat.pid}
    settings = warehouse.importers("SETTINGS")
    assert len(settings) >= 3, "two import processes and the fork server"
    assert not roles & {*settings, *warehouse.importers("APPLICATION"), *warehouse.importers("SETUP")}
    still_there = [pid for pid in set(settings) if psutil.pid_exists(pid)]
    assert len(still_there) == 1, "only the fork server keeps the project"


def test_a_command_does_not_import_the_application_again(warehouse: Warehouse, tmp_path: Path) -> None:
    """Beat has stored what only the application knows. After a change of the environment it is imported again."""
    env = {"MONITOR_CELERY_APP": APPLICATION, "WAREHOUSE_BROKER_IN_APPLICATION": "1"}
    warehouse.monitor.beat(**env)
    facts = tmp_path / "data" / "project-facts"
    wait_for(facts.exists, seconds=60, what=FailureText(warehouse.monitor, "beat stores the facts"))
    status = warehouse.command("status", "--json", **env)
    document = json.loads(status.logs())
    assert document["project"]["name"] == "stockroom", "the name of the application"
    assert len(warehouse.importers("APPLICATION")) == 1
    warehouse.command("status", **env, WAREHOUSE_APPLICATION_SECONDS="0.01")
    assert len(warehouse.importers("APPLICATION")) == 2


def test_a_command_on_another_host_finds_the_names_in_the_store(warehouse: Warehouse, tmp_path: Path) -> None:
    """Another data directory, and a store whose URL is that of the broker in the settings."""
    env = {"MONITOR_CELERY_APP": APPLICATION}
    warehouse.monitor.beat(**env)
    with warehouse.monitor.redis.client() as client:
        key = "monitor:project-facts"
        wait_for(lambda: client.exists(key), seconds=60, what=FailureText(warehouse.monitor, "beat stores the facts"))
        assert 0 < client.ttl(key) <= 86_400
    imports = len(warehouse.importers("APPLICATION"))
    status = warehouse.command("status", "--json", **env, MONITOR_DATA_DIR=str(tmp_path / "elsewhere"))
    assert json.loads(status.logs())["project"]["name"] == "stockroom"
    assert len(warehouse.importers("APPLICATION")) == imports


def test_the_settings_suffice_for_the_store(warehouse: Warehouse) -> None:
    """A configured store: a command that reads it never imports the application."""
    env = {"MONITOR_CELERY_APP": APPLICATION, "MONITOR_REDIS_URL": warehouse.monitor.redis.url}
    status = warehouse.command("status", **env)
    assert "not_observed" in status.logs()
    assert warehouse.importers("APPLICATION") == []


@pytest.mark.parametrize(("part", "key"), [("SETTINGS", "DJANGO_SETTINGS_MODULE"), ("APPLICATION", "celery_app")])
def test_the_import_has_a_limit(part: str, key: str, warehouse: Warehouse) -> None:
    """Afterwards the role ends, with the setting that is the limit."""
    env = {"MONITOR_CELERY_APP": APPLICATION, f"WAREHOUSE_{part}_SECONDS": "300", "MONITOR_IMPORT_LIMIT": "2s"}
    beat = warehouse.monitor.beat(**env)
    assert beat.wait(60) == 2
    assert f"{key} = " in beat.logs()
    assert "takes longer than 2 s, the setting import_limit" in beat.logs()
    assert not any(map(psutil.pid_exists, warehouse.importers(part)))


def test_a_project_that_ends_the_process_is_a_problem_and_not_a_traceback(warehouse: Warehouse, tmp_path: Path) -> None:
    """`sys.exit` in the settings: what was imported, and the status."""
    (tmp_path / "ending.py").write_text("import sys\nsys.exit(3)\n")
    beat = warehouse.monitor.beat(DJANGO_SETTINGS_MODULE="ending", PYTHONPATH=str(tmp_path))
    assert beat.wait(60) == 2
    assert "DJANGO_SETTINGS_MODULE = ending: the process that imports it has ended with status 3" in beat.logs()


def test_the_check_process_is_waited_for_and_the_reason_is_shown(warehouse: Warehouse, tmp_path: Path) -> None:
    """`django.setup()` does not end: one fork server lives on, and everything says why no check has a result."""
    gate, monitor = tmp_path / "gate", warehouse.monitor
    env = {"WAREHOUSE_GATE": str(gate), "MONITOR_ALERTING__SWEEP_INTERVAL": "1s"}
    monitor.worker(**env)
    monitor.beat(**env)
    monitor.web()

    def results_are_importing() -> bool:
        result = monitor.results().get("monitor:results")
        return result is not None and result.reason == "importing"

    wait_for(results_are_importing, seconds=60, what=FailureText(monitor, "monitor:results names the import"))
    result = monitor.results()["monitor:results"]
    assert result.message == f"importing the project, {result.data['importing_seconds']} s"
    wait_for(
        lambda: monitor.get("detailed")[1]["checks"]["cpu"].get("reason") == "importing",
        what=FailureText(monitor, "detailed names the import"),
    )
    assert monitor.get("detailed")[1]["checks"]["cpu"]["status"] == "unknown"
    status = warehouse.command("status", COLUMNS="160").logs()
    assert "importing the project, " in status
    setups = [pid for pid in warehouse.importers("SETUP") if _is_fork_server(pid)]
    gate.touch()
    monitor.wait_for_results("cpu", seconds=60)
    assert [pid for pid in warehouse.importers("SETUP") if _is_fork_server(pid)] == setups
    assert len(setups) == 1
    assert "executor.started" in monitor.logs()


def _is_fork_server(pid: int) -> bool:
    try:
        return "monitor.executor.fork_server" in psutil.Process(pid).cmdline()
    except psutil.Error:
        return False
