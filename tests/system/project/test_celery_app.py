"""`MONITOR_CELERY_APP`: a project without Django settings, whose Celery application says where its broker is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from monitor.store.redis.store import RedisStore
from tests.support.celery_nodes import HostProcess
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import StartRedis
from tests.support.roles import Monitor, StartMonitor
from tests.support.shop import Shop

ROSTER = '[defaults]\ninterval = "1s"\n[checks.redis]\nkind = "redis"\ngroups = ["ready"]\n'
INSTALL = "import monitor\nmonitor.install(app)\n"
MODULES = {
    "install": INSTALL,
    "plain": "",
    "key prefix": f"{INSTALL}app.conf.broker_transport_options = {{'global_keyprefix': 'shop-'}}\n",
}


@pytest.fixture(params=MODULES)
def project(request: pytest.FixtureRequest, tmp_path: Path, start_monitor: StartMonitor) -> Monitor:
    """The monitor of a project that is one module with a Celery application, and nothing else that is configured."""
    monitor = start_monitor(
        ROSTER, {"MONITOR_CELERY_APP": "shop_app:app", "MONITOR_REDIS_URL": "", "PYTHONPATH": str(tmp_path)}
    )
    module = f"from celery import Celery\napp = Celery('shop', broker={monitor.redis.url!r})\n{MODULES[request.param]}"
    (tmp_path / "shop_app.py").write_text(module)
    if request.param == "key prefix":
        monitor.store = RedisStore(monitor.redis.url, prefix="shop-monitor:")
    return monitor


def test_every_role_starts(project: Monitor) -> None:
    """Worker, beat and web find the application's broker, whether or not its module calls `monitor.install(app)`."""
    project.worker()
    project.beat()
    project.wait_for_results("redis")
    project.web()
    project.wait_for_ready(200)


def test_the_check_asks_the_projects_redis(project: Monitor) -> None:
    """`monitor check redis` asks the broker of the application, not a server that may run on this machine."""
    check = project.run("check", "redis")
    assert check.wait() == 0, check.logs()
    status = project.run("status", "--json")
    assert status.wait() == 3, status.logs()  # nothing is observed yet: but the store answers
    assert '"unknown"' in status.logs()


def test_the_module_names_the_projects_settings(start_redis: StartRedis, postgres_server: PostgresServer) -> None:
    """A Django project's module sets DJANGO_SETTINGS_MODULE at its import, and then its settings are read."""
    shop = Shop(start_redis(), postgres_server, DJANGO_SETTINGS_MODULE="", MONITOR_CELERY_APP="shop.celery:app")
    try:
        check = shop.run("monitor", "check", "database", "redis", "celery")
        assert check.wait() == 0, check.logs()
        config = shop.run("monitor", "config")
        assert config.wait() == 0, config.logs()
        assert "settings.MONITOR" in config.logs()
    finally:
        shop.stop()


@pytest.mark.parametrize(
    ("broker", "key", "hint"),
    [
        pytest.param("'amqp://127.0.0.1//'", "redis_url", "set MONITOR_REDIS_URL", id="no Redis"),
        pytest.param("None", "broker_url", "shop_app:app configures none", id="no broker"),
    ],
)
def test_the_hint_names_no_variable_that_is_set(
    broker: str, key: str, hint: str, start_redis: StartRedis, tmp_path: Path
) -> None:
    """Exit code 2, and what to do: not to set the variable that is set."""
    (tmp_path / "shop_app.py").write_text(f"from celery import Celery\napp = Celery('shop', broker={broker})\n")
    role = HostProcess(
        [sys.executable, "-m", "monitor", "beat"],
        {"MONITOR_CELERY_APP": "shop_app:app", "PYTHONPATH": str(tmp_path)},
    )
    try:
        assert role.wait() == 2, role.logs()
        assert f"{key}: is required" in role.logs()
        assert hint in role.logs()
        assert "set MONITOR_CELERY_APP" not in role.logs()
    finally:
        role.teardown()
