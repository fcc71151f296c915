"""Questions about the past pile up over a Redis that freezes or dies, and probes are asked meanwhile."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from monitor.store.redis.store import RedisStore
from tests.support.builders.values import record
from tests.support.processes import wait_for
from tests.support.redis_server import RedisServer, StartRedis
from tests.support.roles import AUTHORIZED, Monitor, StartMonitor

PROBE_SECONDS = 10.0
"""Far beyond what a question takes: a probe that waited for the whole crowd would not be answered."""
PAST = ("history/?check=database", "history/overview/", "uptime/", "events/", "detailed/?at=now")


@pytest.fixture
def server(start_redis: StartRedis) -> RedisServer:
    return start_redis()


@pytest.fixture
def web(start_monitor: StartMonitor, server: RedisServer) -> Monitor:
    """`monitor web` over a store of its own that has a sample."""
    monitor = start_monitor('[checks.database]\nkind = "database"\ngroups = ["ready"]\n', redis=server)
    observe(server)
    monitor.web()
    answer(monitor.port, "history/?check=database")
    return monitor


def observe(server: RedisServer) -> None:
    store = RedisStore(server.url)
    record(store, "database", valid_seconds=600)
    store.close()


def ask(port: int, path: str, seconds: float = 30.0) -> tuple[int, Any]:
    """Status code and content of `/api/health/PATH`. Raises OSError when there is no answer in time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", f"/api/health/{path}", headers={"Host": f"localhost:{port}", **AUTHORIZED})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def answer(port: int, path: str) -> Any:
    """The content, once there is one: a busy machine may take longer than the store is given."""
    return wait_for(lambda: (said := ask(port, path))[0] == 200 and said[1], seconds=60, what=f"an answer to {path}")


FAULTS: dict[str, tuple[Callable[[RedisServer], None], Callable[[RedisServer], None]]] = {
    "frozen": (RedisServer.freeze, RedisServer.thaw),
    "refused": (RedisServer.kill, RedisServer.start),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_probes_are_answered_while_questions_pile_up(web: Monitor, server: RedisServer, fault: str) -> None:
    """A probe never waits behind a question, of which each ends with 503: the store is away, or others are asking."""
    begin, end = FAULTS[fault]
    with ThreadPoolExecutor(24) as crowd:
        begin(server)
        asked = [crowd.submit(ask, web.port, path) for path in PAST * 12]
        probes = []
        while not all(each.done() for each in asked) or len(probes) < 20:
            probes.append(ask(web.port, "live/", PROBE_SECONDS)[0])
            probes.append(ask(web.port, "ready/", PROBE_SECONDS)[0])
        answers = [each.result() for each in asked]
    found = Counter((status, body["error"]) for status, body in answers)
    assert set(found) <= {(503, "store_unavailable"), (503, "busy")}
    assert found[503, "store_unavailable"] > 0
    assert set(probes) == {200}
    status, snapshot = ask(web.port, "snapshot/")
    assert (status, snapshot["checks"]["database"]["status"]) == (200, "ok")
    wait_for(lambda: ask(web.port, "snapshot/")[1]["answering"] is False, seconds=30, what="the snapshot says so")
    end(server)
    if fault == "refused":
        observe(server)
    answer(web.port, "history/?check=database")


def test_a_flushed_store_is_a_past_that_begins_anew(web: Monitor, server: RedisServer) -> None:
    """No error: empty answers, and the snapshot says that there is nothing."""
    server.client().flushall()
    said = answer(web.port, "history/?check=database")
    assert (said["times"], said["reaches"]) == ([], {"raw": None, "rollups": None})
    wait_for(lambda: answer(web.port, "snapshot/")["reaches"]["raw"] is None, seconds=30, what="the snapshot says so")
    assert answer(web.port, "events/")["events"] == []
    assert answer(web.port, "uptime/")["checks"]["database"]["windows"]["24h"]["availability"] is None
