"""PostgreSQL and Redis freeze, die, come back empty or fall silent, while 500 probes a second ask how things are.

Every probe is scheduled beforehand and counted (`tests.support.load`); it must be answered within the
kubelet's default time limit of 1 s. How fast the answers are is printed, and measured by `make bench`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from monitor.model.checks import Result
from monitor.policy.schedule import phase
from tests.support.faults import FaultProxy, Freezer
from tests.support.load import LoadProcess
from tests.support.postgres_server import PostgresServer
from tests.support.processes import missing, wait_for
from tests.support.redis_server import RedisServer, find_binary
from tests.support.roles import FailureText, Monitor, Recorder

INTERVAL = 2.0
FAULT_SECONDS = float(os.environ.get("FAULT_SECONDS", "3"))
ROSTER = f"""
[defaults]
interval = {INTERVAL}
[checks.database]
kind = "database"
groups = ["ready"]
[checks.redis]
kind = "redis"
groups = ["ready"]
[checks.celery]
kind = "celery"
groups = ["ready"]
[checks.plain]
kind = "python"
path = "tests.support.user_checks:nothing"
groups = ["ready"]
"""
NAMES = ("database", "redis", "celery", "plain")


class Whole:
    """Real servers, behind proxies where the name says so, and the three roles over them."""

    def __init__(self, directory: pytest.TempPathFactory, *, proxied: bool = False) -> None:
        self.redis = RedisServer(binary=find_binary("redis-server") or missing("redis-server"))
        self.postgres = PostgresServer()
        self.proxies: dict[str, FaultProxy] = {}
        env = {"DATABASE_URL": self.postgres.url}
        if proxied:
            self.proxies = {"redis": FaultProxy("127.0.0.1", self.redis.port)}
            self.proxies["postgres"] = FaultProxy("127.0.0.1", self.postgres.port)
            env["MONITOR_REDIS_URL"] = f"redis://127.0.0.1:{self.proxies['redis'].port}/0"
            # A half-open BRPOP is given up after two of these and a second.
            env["MONITOR_BROKER_TRANSPORT_OPTIONS"] = '{"health_check_interval": 1}'
            env["DATABASE_URL"] = self.postgres.url.replace(str(self.postgres.port), str(self.proxies["postgres"].port))
        self.monitor = Monitor(directory.mktemp("faults"), self.redis, ROSTER, env)
        self.monitor.all_roles()
        self.monitor.wait_for_ready(200)

    def stop(self) -> None:
        """End everything."""
        self.monitor.stop()
        for proxy in self.proxies.values():
            proxy.close()
        self.redis.stop()
        self.postgres.stop()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """One whole for the faults of servers; each test waits for its recovery."""
    whole = Whole(tmp_path_factory)
    yield whole
    whole.stop()


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """One whole whose connections run through proxies."""
    whole = Whole(tmp_path_factory, proxied=True)
    yield whole
    whole.stop()


def _freeze_redis(whole: Whole, freezer: Freezer) -> Callable[[], None]:
    freezer.freeze(whole.redis.pid)
    return lambda: freezer.thaw(whole.redis.pid)


def _kill_redis(whole: Whole, freezer: Freezer) -> Callable[[], None]:
    whole.redis.kill()
    return whole.redis.start


def _restart_redis_empty(whole: Whole, freezer: Freezer) -> Callable[[], None]:
    whole.redis.restart()
    return lambda: None


def _freeze_postmaster(whole: Whole, freezer: Freezer) -> Callable[[], None]:
    freezer.freeze(whole.postgres.pid)
    return lambda: freezer.thaw(whole.postgres.pid)


def _kill_postgres(whole: Whole, freezer: Freezer) -> Callable[[], None]:
    whole.postgres.kill()
    return whole.postgres.start


def _freeze_both(whole: Whole, freezer: Freezer) -> Callable[[], None]:
    freezer.freeze(whole.postgres.pid, children=True)
    freezer.freeze(whole.redis.pid)

    def thaw() -> None:
        freezer.thaw(whole.postgres.pid)
        freezer.thaw(whole.redis.pid)

    return thaw


FAULTS = {
    "Redis frozen": _freeze_redis,
    "Redis killed": _kill_redis,
    "Redis restarted empty": _restart_redis_empty,
    "postmaster frozen": _freeze_postmaster,
    "PostgreSQL killed": _kill_postgres,
    "both frozen": _freeze_both,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_probes_answer_through_a_fault_and_the_whole_recovers(fault: str, whole: Whole, freezer: Freezer) -> None:
    """From its first second on no probe goes unanswered, and live is always 200; all checks come back afterwards."""
    with _probed(whole.monitor, fault):
        heal = FAULTS[fault](whole, freezer)
        _wait_for_ready_to_tell(whole.monitor, fault)
        _let_it_last()
        heal()
        _recovers(whole.monitor, fault)


def test_probes_answer_while_redis_is_black_holed_and_the_whole_recovers(proxied: Whole) -> None:
    """Bytes vanish on old and new connections: `redis` is `error` at once, all answer, and the roles find back."""
    with _probed(proxied.monitor, "Redis black-holed"):
        proxied.proxies["redis"].set("blackhole")
        body = proxied.monitor.wait_for_ready(503)
        assert body["checks"]["redis"]["status"] == "error"
        _let_it_last()
        proxied.proxies["redis"].set("ok", cut=True)
        _recovers(proxied.monitor, "Redis black-holed")


def test_probes_answer_while_every_connection_to_redis_is_half_open_and_the_whole_recovers(proxied: Whole) -> None:
    """What is open carries nothing any more and never says so; new connections work: each role finds out by itself."""
    with _probed(proxied.monitor, "Redis half-open"):
        proxied.proxies["redis"].abandon()
        _recovers(proxied.monitor, "Redis half-open")


def test_only_database_fails_while_postgres_is_frozen(whole: Whole, freezer: Freezer) -> None:
    """`database` is `error` with reason `timeout`; every other check runs on in each of its intervals, and is ok."""
    others = [name for name in NAMES if name != "database"]
    with Recorder(whole.monitor) as recorder:
        freezer.freeze(whole.postgres.pid)
        frozen_at = whole.monitor.store.states.now()
        result = whole.monitor.wait_for_results("database", after=frozen_at)["database"]
        assert (result.status, result.reason) == ("error", "timeout")
        body = whole.monitor.wait_for_ready(503)
        for name in others:
            recorder.wait_for(name, 4)
        freezer.thaw(whole.postgres.pid)
        whole.monitor.wait_for_ready(200)
    assert {name for name, check in body["checks"].items() if check["status"] != "ok"} == {"database"}
    for name in others:
        assert {run.status for run in recorder.results[name]} == {"ok"}
        assert _missed(name, recorder.results[name]) == [], name


def test_a_frozen_backend_of_somebody_else_is_not_the_databases_failure(whole: Whole, freezer: Freezer) -> None:
    """The check's connection is its own: a backend that stands still for another client changes nothing."""
    with whole.postgres.connect() as connection:
        freezer.freeze(connection.info.backend_pid)
        frozen_at = whole.monitor.store.states.now()
        result = whole.monitor.wait_for_results("database", after=frozen_at + INTERVAL)["database"]
        freezer.thaw_all()
    assert result.status == "ok"


@contextmanager
def _probed(monitor: Monitor, fault: str) -> Iterator[None]:
    """Ask live and ready 500 times a second around what happens, and see that every request was answered."""
    live, ready = (f"http://127.0.0.1:{monitor.port}/api/health/{path}/" for path in ("live", "ready"))
    with LoadProcess(live, ready, per_second=500, seconds=120, timeout_seconds=1) as process:
        began = time.monotonic()
        yield
        load = process.stop()
    during = load.between(began)
    print(f"\n{fault}: live {during.of(live)}\n{fault}: ready {during.of(ready)}")
    assert load.failures == []
    assert load.of(live).statuses.keys() == {200}
    assert load.of(ready).statuses.keys() <= {200, 503}


def _wait_for_ready_to_tell(monitor: Monitor, fault: str) -> None:
    """A fault that lasts is seen; one that was over at once need not be."""
    if "restarted" not in fault:
        monitor.wait_for_ready(503)


def _let_it_last() -> None:
    """The fault's duration is the input here: there is no condition to wait for."""
    time.sleep(FAULT_SECONDS)


def _recovers(monitor: Monitor, fault: str) -> None:
    """All checks have new results, all ok, and ready says so. Prints how long that took."""
    healed, ended_at = time.monotonic(), monitor.store.states.now()
    wait_for(lambda: _all_ok(monitor, ended_at), seconds=60, what=FailureText(monitor, "all checks are ok again"))
    monitor.wait_for_ready(200)
    print(f"\n{fault}: all {len(NAMES)} checks new and ok {time.monotonic() - healed:.1f} s after its end")


def _all_ok(monitor: Monitor, after: float) -> bool:
    results = monitor.results()
    return all(name in results and results[name].observed_at > after and results[name].status == "ok" for name in NAMES)


def _missed(name: str, runs: list[Result]) -> list[int]:
    """The check's own intervals, between its first and last run, that had no run."""
    ran = [math.floor((run.observed_at - phase(name) * INTERVAL) / INTERVAL) for run in runs]
    return sorted(set(range(ran[0], ran[-1] + 1)) - set(ran))
