"""Paths, status codes, dialects and tokens, over a store in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from monitor.api import targets
from monitor.api.pages import ProbeResponse
from monitor.api.service import Service, build
from monitor.api.targets import Target
from monitor.config import Config
from monitor.store.memory.store import MemoryStore
from tests.support.builders.values import check, config, record
from tests.support.processes import wait_for


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("live", Target("live")),
        ("ready/", Target("ready")),
        ("groups/web/", Target("groups", "web")),
        ("checks/db@1:x", Target("checks", "db@1:x")),
        ("checks", None),
        ("checks/", None),
        ("checks/a/b", None),
        ("live//", None),
        ("alive", None),
        ("", None),
        ("livez", None),
    ],
)
def test_paths_below_the_mount(path: str, target: Target | None) -> None:
    """With and without the trailing slash; everything else is not ours."""
    assert targets.find(path) == target


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("livez", Target("livez")),
        ("readyz/", Target("readyz")),
        ("readyz/redis", Target("readyz", "redis")),
        ("api/health-check", Target("ready")),
        ("api/health-check/", Target("ready")),
        ("api/health-check/x", None),
        ("live", None),
    ],
)
def test_paths_at_the_root(path: str, target: Target | None) -> None:
    """The old path is the same as ready."""
    assert targets.find_at_root(path) == target


@pytest.fixture
def running() -> Iterator[Service]:
    """A service whose database is ok, whose cache (optional) has failed, and whose queue was never observed."""
    store = MemoryStore()
    record(store, "database", message="PostgreSQL 15 on db-1")
    record(store, "cache", "error", reason="refused")
    checks = [check("database"), check("cache", critical=False), check("queue", groups=("slow",))]
    service = build(config(*checks, token="hushhushhushhush"), connect=lambda: store)
    service.refresher.start()
    wait_for(lambda: service.refresher.snapshot().answering, what="the first read")
    yield service
    service.refresher.stop()


def ask(service: Service, what: str, name: str = "", **request: str) -> ProbeResponse:
    return service.probes.answer(Target(what, name), **request)


@pytest.mark.parametrize(
    ("what", "name", "status", "word"),
    [
        ("live", "", 200, "alive"),
        ("ready", "", 200, "ready"),
        ("detailed", "", 200, "unhealthy"),
        ("startup", "", 200, "started"),
        ("groups", "ready", 200, "ready"),
        ("groups", "slow", 503, "not_ready"),
        ("checks", "database", 200, "ok"),
        ("checks", "cache", 503, "error"),
        ("checks", "queue", 503, "unknown"),
    ],
)
def test_status_codes(running: Service, what: str, name: str, status: int, word: str) -> None:
    """200 or 503, and always 200 for detailed."""
    answer = ask(running, what, name)
    assert (answer.status, json.loads(answer.body)["status"]) == (status, word)
    assert dict(answer.headers) == {
        "Content-Type": "application/json",
        "Content-Length": str(len(answer.body)),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


@pytest.mark.parametrize(
    "target", [("groups", "nope"), ("checks", "nope"), ("readyz", "nope"), ("readyz", "queue"), ("livez", "database")]
)
def test_unknown_names(running: Service, target: tuple[str, str]) -> None:
    """404, in JSON, and nothing of them is kept."""
    answer = ask(running, *target)
    assert (answer.status, json.loads(answer.body)) == (404, {"error": "not_found"})


def test_other_methods(running: Service) -> None:
    """405, saying which are allowed."""
    answer = ask(running, "live", method="POST")
    assert answer.status == 405
    assert dict(answer.headers)["Allow"] == "GET, HEAD"


def test_kubernetes_endpoints(running: Service) -> None:
    """Text, 200 or 500, ?verbose and ?exclude=."""
    assert (ask(running, "livez").status, ask(running, "livez").body) == (200, b"ok")
    assert ask(running, "healthz", query="verbose").body == b"[+]ping ok\nhealthz check passed\n"
    assert ask(running, "readyz", query="verbose=1&exclude=database").body == (
        b"[+]ping ok\n[+]database excluded: ok\n[+]cache ok\nreadyz check passed\n"
    )
    assert ask(running, "readyz", "database").body == b"ok"
    assert ask(running, "startupz", query="verbose").body == b"[+]ping ok\n[+]first-read ok\nstartupz check passed\n"
    assert dict(ask(running, "livez").headers)["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("what", "name", "status", "word"),
    [
        ("live", "", 200, "pass"),
        ("startup", "", 200, "pass"),
        ("ready", "", 200, "warn"),
        ("readyz", "", 200, "warn"),
        ("detailed", "", 503, "fail"),
        ("checks", "database", 200, "pass"),
        ("checks", "cache", 503, "fail"),
    ],
)
def test_health_json_for_those_who_accept_it(running: Service, what: str, name: str, status: int, word: str) -> None:
    """The draft demands an error code with `fail`, so detailed has one there."""
    answer = ask(running, what, name, accept="application/health+json, */*;q=0.1")
    assert (answer.status, json.loads(answer.body)["status"]) == (status, word)
    assert dict(answer.headers)["Content-Type"] == "application/health+json"


@pytest.mark.parametrize(
    ("authorization", "shown"),
    [
        ("Bearer hushhushhushhush", True),
        ("bearer  hushhushhushhush", True),
        ("Bearer hus", False),
        ("Basic hushhushhushhush", False),
        ("", False),
    ],
)
def test_messages_need_the_token(running: Service, authorization: str, shown: bool) -> None:
    """In detailed and in single checks; never in ready."""
    for what, name in (("detailed", ""), ("checks", "database")):
        body = ask(running, what, name, authorization=authorization).body
        assert (b"db-1" in body) is shown
    assert b"db-1" not in ask(running, "ready", authorization=authorization).body


def test_without_a_token_nobody_is_authorised() -> None:
    """Not even with an empty one."""
    store = MemoryStore()
    record(store, "database", message="db-1")
    service = build(config(check("database")), connect=lambda: store)
    service.refresher.read_once()
    assert b"db-1" not in ask(service, "detailed", authorization="Bearer ").body
    service.refresher.stop()


def test_a_wrong_configuration_is_alive_but_never_ready() -> None:
    """Restarting would not help, and nothing is known."""
    service = build(Config(), problem="configuration", connect=MemoryStore)
    wait_for(lambda: service.refresher.start() or service.refresher.snapshot().answering, what="the first read")
    said = {what: ask(service, what) for what in ("live", "ready", "startup", "detailed", "readyz", "livez")}
    assert {what: answer.status for what, answer in said.items()} == {
        "live": 200,
        "ready": 503,
        "startup": 503,
        "detailed": 200,
        "readyz": 500,
        "livez": 200,
    }
    assert json.loads(said["ready"].body)["reason"] == "configuration"
    assert json.loads(said["detailed"].body)["status"] == "unhealthy"
    assert ask(service, "ready", accept="application/health+json").status == 503
    service.refresher.stop()
