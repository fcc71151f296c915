"""The three ways into a user's worker, what each leaves alone, and what none of them brings along."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.agent import beacon_file
from monitor.agent.liveness import STARTING
from tests.support.agents import AgentStore, StartAgentWorker
from tests.support.celery_nodes import ROOT
from tests.support.processes import free_port, wait_for
from tests.support.redis_server import StartRedis

HEAVY = ("pydantic", "structlog", "monitor.config", "monitor.store", "monitor.model.checks")
"""Not psutil and Django, which billiard and Celery import by themselves where there are any. The environment of the old
Celery, in which the other tests run the agent, has neither."""
SOLO = ("-P", "solo")

DJANGO_SETTINGS = """
INSTALLED_APPS = ["monitor"]
SECRET_KEY = "x"
MONITOR = {"key_prefix": "shop:", "workers": {"interval": 1}}
"""


@pytest.mark.parametrize(
    ("way", "options"),
    [
        pytest.param("install", (), id="monitor.install(app), twice"),
        pytest.param("autodiscover", (), id="autodiscovery"),
        pytest.param("", ("-I", "monitor.tasks.heartbeat"), id="-I"),
        pytest.param("install", ("-I", "monitor.tasks.heartbeat"), id="both"),
    ],
)
def test_each_way_is_enough(
    start_redis: StartRedis, start_agent_worker: StartAgentWorker, way: str, options: tuple[str, ...]
) -> None:
    """One beacon, one queue, one task; and nothing heavy is imported into the user's process."""
    server = start_redis()
    env = {"TEST_INSTALL": way}
    worker = start_agent_worker(
        AgentStore(server.client()), *SOLO, *options, node="w1@host", broker=server.url, env=env
    )
    worker.beacon(lambda beacon: beacon.direct)
    worker.prove()
    names = [client["name"] for client in server.client().client_list()]
    assert names.count(f"monitor-agent:{worker.target}") == 1
    worker.send("shop.modules", ("modules", list(HEAVY)))
    loaded = wait_for(lambda: server.client().get("modules"), seconds=20, what="the worker's modules")
    assert json.loads(loaded) == []


@pytest.mark.parametrize("celery", ["current", "5.4"])
def test_spawned_children_know_the_task(
    start_redis: StartRedis, start_agent_worker: StartAgentWorker, celery: str
) -> None:
    """Autodiscovery on prefork: the heartbeat is executed in the children."""
    server = start_redis()
    spawn = {"TEST_INSTALL": "autodiscover", **({"TEST_SPAWN": "1"} if celery == "current" else {})}
    worker = start_agent_worker(
        AgentStore(server.client()), "-c", "1", node="w1@host", broker=server.url, celery=celery, env=spawn
    )
    worker.beacon(lambda beacon: beacon.direct)
    worker.prove()


def test_a_worker_without_the_agent_has_nothing_of_ours(
    start_redis: StartRedis, start_agent_worker: StartAgentWorker
) -> None:
    """An application that does not name us: no task, no queue, no key."""
    server = start_redis()
    store = AgentStore(server.client())
    worker = start_agent_worker(store, *SOLO, node="w1@host", broker=server.url, env={"TEST_INSTALL": ""})
    wait_for(lambda: "w1@host ready" in worker.logs(), seconds=30, what="the worker is ready")
    assert "monitor." not in worker.logs()
    assert not server.client().exists(store.keys.beacons)


def test_switched_off(start_redis: StartRedis, start_agent_worker: StartAgentWorker) -> None:
    """`workers.enabled = false`: no queue, no beacon."""
    server = start_redis()
    store = AgentStore(server.client())
    env = {"MONITOR_WORKERS__ENABLED": "false"}
    worker = start_agent_worker(store, *SOLO, node="w1@host", broker=server.url, env=env)
    wait_for(lambda: "w1@host ready" in worker.logs(), seconds=30, what="the worker is ready")
    assert "monitor.worker." not in worker.logs()
    assert not server.client().exists(store.keys.beacons)


def test_settings_of_a_django_project(
    start_redis: StartRedis, start_agent_worker: StartAgentWorker, tmp_path: Path
) -> None:
    """`settings.MONITOR` is heeded in the worker of a Django project."""
    server = start_redis()
    store = AgentStore(server.client(), "shop:")
    (tmp_path / "shop_settings.py").write_text(DJANGO_SETTINGS)
    env = {"DJANGO_SETTINGS_MODULE": "shop_settings", "TEST_INSTALL": "autodiscover", "TEST_PATH": str(tmp_path)}
    worker = start_agent_worker(store, *SOLO, node="w1@host", broker=server.url, env=env)
    assert worker.beacon(lambda beacon: beacon.direct).interval_seconds == 1.0
    worker.prove()
    worker.send("shop.modules", ("modules", list(HEAVY)))
    loaded = wait_for(lambda: server.client().get("modules"), seconds=20, what="the worker's modules")
    assert json.loads(loaded) == []


def test_wrong_settings_do_not_stop_the_worker(start_redis: StartRedis, start_agent_worker: StartAgentWorker) -> None:
    """A wrong interval is named once in the log, and the default goes."""
    server = start_redis()
    env = {"MONITOR_WORKERS__INTERVAL": "often"}
    worker = start_agent_worker(AgentStore(server.client()), *SOLO, node="w1@host", broker=server.url, env=env)
    assert worker.beacon(lambda beacon: beacon.direct).interval_seconds == 10.0
    assert worker.logs().count("interval: should be a duration") == 1


def test_waiting_for_the_broker_is_starting(start_agent_worker: StartAgentWorker, pulses: Path) -> None:
    """A worker whose broker is away has written down that it starts: `monitor probe worker` lets it."""
    from tests.support.redis_server import RedisServer, find_binary

    server = RedisServer(binary=find_binary("redis-server") or "redis-server")
    try:
        nowhere = f"redis://127.0.0.1:{free_port()}/0"
        start_agent_worker(AgentStore(server.client()), *SOLO, node="w1@host", broker=nowhere)
        wait_for(lambda: beacon_file.read(str(pulses)), seconds=30, what="a pulse")
        assert [(seen.node, seen.sample.phase) for seen in beacon_file.read(str(pulses))] == [("w1@host", STARTING)]
    finally:
        server.stop()


def test_installing_imports_little() -> None:
    """In a web process, too, `monitor.install(app)` brings neither pydantic nor Django nor a client of Redis."""
    code = (
        "import sys; from celery import Celery; app = Celery('shop'); before = set(sys.modules); import monitor; "
        "monitor.install(app); print(sorted(n for n in set(sys.modules) - before if n.split('.')[0] in sys.argv[1:]))"
    )
    names = ["pydantic", "pydantic_core", "structlog", "psutil", "django", "redis", "tomllib"]
    found = subprocess.run([sys.executable, "-c", code, *names], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_our_own_application_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The monitor's own workers import `monitor.tasks`, too, and are not watched by themselves."""
    code = (
        "from monitor.celery_app import app; from monitor.agent.protocol import HEARTBEAT; app.finalize(); "
        "print(HEARTBEAT in app.tasks)"
    )
    monkeypatch.setenv("MONITOR_REDIS_URL", "redis://127.0.0.1/0")
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
