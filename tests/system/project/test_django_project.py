"""Three lines in somebody else's Django + Celery project: probes answer, and everything of its own is as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.faults import Freezer
from tests.support.load import LoadProcess
from tests.support.postgres_server import PostgresServer
from tests.support.processes import wait_for
from tests.support.redis_server import StartRedis
from tests.support.roles import FailureText
from tests.support.shop import CUSTOMER, POD, SERVERS, Shop, ask, celery_facts

PROBES = ("live", "ready", "detailed", "startup")


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """The project's database server, which these tests freeze."""
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture
def shop(start_redis: StartRedis, postgres: PostgresServer) -> Iterator[Shop]:
    """The project on a broker of its own; nothing of it runs yet."""
    shop = Shop(start_redis(), postgres)
    yield shop
    shop.stop()


@pytest.mark.parametrize("server", SERVERS)
def test_probes_answer_any_host_and_pages_still_redirect(server: str, shop: Shop) -> None:
    """The kubelet, which speaks HTTP and sends the pod's address as Host, gets answers; customers get HTTPS."""
    shop.serve(server)
    for name in PROBES:
        status, headers, body = shop.get(f"/api/health/{name}/", POD)
        assert status in ({200} if name in {"live", "detailed"} else {200, 503}), name
        assert headers["cache-control"] == "no-store"
        assert "status" in json.loads(body)
    status, headers, _ = shop.get("/", {"Host": "shop.example"})
    assert (status, headers["location"]) == (301, "https://shop.example/")
    assert shop.get("/", {**CUSTOMER, "Host": "10.1.2.3"})[0] == 400
    assert shop.get("/", CUSTOMER)[2] == b"welcome"
    assert shop.get("/livez", CUSTOMER)[0] == 404, "root paths are the project's own"


def test_roles_find_the_projects_broker_and_database(shop: Shop) -> None:
    """`monitor worker` and `monitor beat` beside the project need its settings module and nothing else."""
    _send_restock(shop, times=3)
    shop.run("monitor", "worker")
    shop.run("monitor", "beat")
    results = shop.wait_for_results("database", "redis", "celery")
    assert results["celery"].data["queues"] == {"shop": 3}
    shop.serve("gunicorn")
    wait_for(lambda: shop.get("/api/health/ready/", POD)[0] == 200, what="the project's ready probe is green")
    checks = json.loads(shop.get("/api/health/detailed/", POD)[2])["checks"]
    assert {"database", "redis", "celery", "cpu", "memory", "disk", "connections"} <= checks.keys()


def test_installing_adds_the_heartbeat_task_to_the_application(shop: Shop) -> None:
    """Other tasks, beat entries, queues and every setting are the same with and without `monitor.install(app)`."""
    without = celery_facts(shop, SHOP_WITHOUT_MONITOR="1")
    assert "shop.tasks.restock" in without["tasks"]
    without["tasks"] = sorted([*without["tasks"], "monitor.tasks.heartbeat"])
    assert celery_facts(shop) == without


def test_running_checks_in_the_application_only_adds(shop: Shop) -> None:
    """With `run_checks=True` there are our tasks as well; what was there is as it was."""
    without = celery_facts(shop, SHOP_WITHOUT_MONITOR="1")
    with_checks = celery_facts(shop, SHOP_RUNS_CHECKS="1")
    added = set(with_checks.pop("tasks")) ^ set(without.pop("tasks"))
    assert {"monitor.tasks.dispatch", "monitor.tasks.run_check", "monitor.tasks.workers"} <= added
    assert all(name.startswith("monitor.tasks.") for name in added)
    assert with_checks == without


@pytest.mark.parametrize(
    ("pool", "scheduler"),
    [
        ("prefork", "celery.beat:PersistentScheduler"),
        ("threads", "redbeat.RedBeatScheduler"),
        ("threads", "django_celery_beat.schedulers:DatabaseScheduler"),
        ("solo", "celery.beat:PersistentScheduler"),
    ],
)
def test_the_projects_own_beat_and_workers_run_the_checks(
    pool: str, scheduler: str, shop: Shop, tmp_path: Path
) -> None:
    """With `run_checks=True` no process of ours is needed, on every pool and beat; the project's own entry runs on."""
    ours = {"SHOP_RUNS_CHECKS": "1", "MONITOR_WORKERS__INTERVAL": "2"}
    if "Database" in scheduler:
        ours["SHOP_KEEPS_SCHEDULE_IN_DATABASE"] = "1"
        assert shop.run("python", "-m", "django", "migrate", **ours).wait(60) == 0, shop.logs()
    # `-Q shop`: the project's worker was told what to consume long before the monitor came.
    shop.run("celery", "-A", "shop", "worker", "-P", pool, "-c", "2", "-Q", "shop", "-l", "INFO", **ours)
    file = ["-s", str(tmp_path / "schedule")] if "Persistent" in scheduler else []
    shop.run("celery", "-A", "shop", "beat", "-S", scheduler, *file, **ours)
    first = shop.wait_for_results("database", "redis", "celery", "disk")
    newest = max(result.observed_at for result in first.values())
    shop.wait_for_results("database", "redis", "celery", "disk", after=newest)
    with shop.redis.client() as client:
        wait_for(
            lambda: int(client.get("shop:restocked") or 0) >= 2, what=FailureText(shop, "the shop's own task runs")
        )
    judged = {name for name in shop.store.states.read().states if name.startswith("worker:")}
    assert len(judged) == 1
    for name, verdict in [(judged.pop(), "consuming"), ("queue:shop", "consumed")]:
        wait_for(
            lambda name=name, verdict=verdict: _verdict(shop, name) == verdict, seconds=40, what=FailureText(shop, name)
        )  # type: ignore[misc]


@pytest.mark.parametrize("frozen", ["postmaster", "backend"])
@pytest.mark.parametrize("server", SERVERS)
def test_probes_answer_on_a_thread_whose_last_request_met_the_frozen_database(
    server: str, frozen: str, shop: Shop, postgres: PostgresServer, freezer: Freezer
) -> None:
    """One request thread, one kept connection to PostgreSQL: frozen after a page used it, each probe is answered."""
    shop.serve(server)
    connection = shop.connect()
    status, _, backend = ask(connection, "/stock/", CUSTOMER)
    assert status == 200
    freezer.freeze(postgres.pid if frozen == "postmaster" else int(backend))
    assert ask(connection, "/api/health/live/", POD)[0] == 200
    assert ask(connection, "/api/health/ready/", POD)[0] == 503
    _assert_all_answered(shop, f"{server}, {frozen} frozen")


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_probes_answer_while_a_page_hangs_on_the_frozen_database(
    server: str, shop: Shop, postgres: PostgresServer, freezer: Freezer
) -> None:
    """A page hangs in one of two request threads, or under ASGI in Django's: every probe is answered meanwhile."""
    shop.serve(server, threads=2)
    assert shop.get("/stock/", CUSTOMER)[0] == 200
    freezer.freeze(postgres.pid, children=True)
    with pytest.raises(TimeoutError):
        shop.get("/stock/", CUSTOMER)
    _assert_all_answered(shop, f"{server}, a page hangs")


def _verdict(shop: Shop, check: str) -> str | None:
    state = shop.store.states.read([check]).states.get(check)
    return None if state is None else str(state.result.data.get("verdict"))


def _assert_all_answered(shop: Shop, what: str) -> None:
    """200 probes a second for two seconds, each within the kubelet's time limit."""
    live, ready = (f"http://127.0.0.1:{shop.port}/api/health/{name}/" for name in ("live", "ready"))
    with LoadProcess(live, ready, per_second=200, seconds=2, timeout_seconds=1, host=POD["Host"]) as process:
        load = process.wait()
    print(f"\n{what}: {load}")
    assert load.failures == []
    assert load.of(live).statuses.keys() == {200}


def _send_restock(shop: Shop, *, times: int) -> None:
    code = f"from shop.tasks import restock\nfor _ in range({times}): restock.delay()"
    process = shop.run("python", "-c", code)
    assert process.wait() == 0, process.logs()
