"""The bodies of the JSON endpoints."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from monitor.api import render
from monitor.api.refresher import CachedSnapshot
from monitor.config import CheckSpec
from tests.support.builders import NOW
from tests.support.builders.values import check, moment, renderer, roster, state

TIME = "2025-12-27T12:00:00Z"
FRESH = {"since": "2025-12-27T11:59:59.000Z", "observed_at": "2025-12-27T11:59:59.000Z"} | {
    "valid_until": "2025-12-27T12:00:29.000Z",
    "age_ms": 1000,
}
NEVER = {"status": "unknown", "response_time_ms": None, "reason": "not_observed"}


def test_the_body_of_live() -> None:
    """Alive, and when that was said."""
    assert json.loads(render.live(NOW)) == {"status": "alive", "timestamp": TIME}


def test_the_body_of_ready() -> None:
    """The contract's fields, a kind's own numbers, and the times that make the answer honest."""
    known = moment(state("database"), state("celery", data={"pending_tasks": 10}))
    passes, said = ready(known, check("database"), check("celery"), check("cpu", groups=()))
    assert passes
    assert said == {
        "status": "ready",
        "timestamp": TIME,
        "checks": {
            "database": {"status": "ok", "response_time_ms": 2, **FRESH},
            "celery": {"status": "ok", "response_time_ms": 2, "pending_tasks": 10, **FRESH},
        },
    }


def ready(known: CachedSnapshot, *checks: CheckSpec, **fields: Any) -> tuple[bool, dict[str, Any]]:
    """Whether the group `ready` passes, and its document."""
    of = roster(*checks, **fields)
    passes, body = render.Renderer(of).group(of.ready, known)
    return passes, json.loads(body)


@pytest.mark.parametrize(
    ("caption", "known", "passes", "expected"),
    [
        ("never observed", moment(), False, NEVER),
        ("ok", moment(state("redis")), True, {"status": "ok", "response_time_ms": 2, **FRESH}),
        (
            "a warning never fails a group",
            moment(state("redis", "warning", reason="above_threshold")),
            True,
            {"status": "warning", "response_time_ms": 2, "reason": "above_threshold", **FRESH},
        ),
        (
            "an error says its reason, not its message",
            moment(state("redis", "error", reason="refused", message="redis://secret@host", detail={"host": "h"})),
            False,
            {"status": "error", "response_time_ms": 2, "reason": "refused", **FRESH},
        ),
        (
            "a failure that is being confirmed shows beside the state",
            moment(state("redis", "ok", result="error", reason="timeout")),
            True,
            {"status": "ok", "response_time_ms": 2, "reason": "timeout", "last_result": "error", **FRESH},
        ),
        (
            "the store does not answer: the check that watches it fails at once",
            moment(state("redis"), answering=False),
            False,
            {"status": "error", "response_time_ms": 0, "reason": "unreachable"},
        ),
        ("nothing was read yet", moment(answering=None), False, NEVER),
    ],
)
def test_one_check_in_ready(caption: str, known: Any, passes: bool, expected: dict[str, Any]) -> None:
    """What a critical check says, and whether it fails its group."""
    verdict, said = ready(known, check("redis"))
    assert (verdict, said["checks"]["redis"]) == (passes, expected), caption


def test_an_old_answer_is_stale() -> None:
    """Past its `valid_until` a green state fails, and says what it was."""
    passes, said = ready(moment(state("redis", age=31)), check("redis"))
    found = said["checks"]["redis"]
    assert not passes
    assert (found["status"], found["reason"], found["last_status"]) == ("stale", "stale", "ok")
    assert found["age_ms"] == 31000


@pytest.mark.parametrize("status", ["ok", "error"])
def test_a_group_that_holds_keeps_its_last_verdict_and_says_so(status: str) -> None:
    """Staleness decides nothing there; what was known last does."""
    passes, said = ready(moment(state("redis", status, age=31)), check("redis"), hold=["ready"])
    found = said["checks"]["redis"]
    assert passes is (status == "ok")
    assert (found["status"], found["held"], said["held"]) == (status, True, True)


def test_a_check_with_a_url_of_its_own_does_not_watch_the_store() -> None:
    """That the store is down says nothing about another Redis."""
    passes, _ = ready(moment(state("redis"), answering=False), check("redis", options={"url": "redis://elsewhere"}))
    assert passes


@pytest.mark.parametrize(
    ("caption", "critical", "optional", "overall"),
    [
        ("all ok", "ok", "ok", "healthy"),
        ("a warning", "warning", "ok", "degraded"),
        ("an optional check fails", "ok", "error", "degraded"),
        ("a critical check fails", "error", "ok", "unhealthy"),
    ],
)
def test_the_overall_verdict_of_detailed(caption: str, critical: str, optional: str, overall: str) -> None:
    """Only critical checks make it unhealthy."""
    rendered = renderer(check("database"), check("cpu", critical=False))
    body = rendered.detailed(moment(state("database", critical), state("cpu", optional)), full=False)
    assert json.loads(body)["status"] == overall, caption


def test_only_the_authorised_see_messages_and_details() -> None:
    """And what was rendered for one of them is not given to the others."""
    rendered = renderer(check("database"))
    known = moment(state("database", "error", message="no route to db-1", detail={"host": "db-1"}))
    full = json.loads(rendered.detailed(known, full=True))["checks"]["database"]
    assert (full["message"], full["detail"]) == ("no route to db-1", {"host": "db-1"})
    assert "db-1" not in rendered.detailed(known, full=False)


def test_a_kind_cannot_overwrite_the_verdict() -> None:
    """Data that is called like one of our fields is left out."""
    rendered = renderer(check("database"))
    known = moment(state("database", "error", data={"status": "ok", "age_ms": -1, "rows": 3}))
    said = json.loads(rendered.detailed(known, full=False))["checks"]["database"]
    assert (said["status"], said["age_ms"], said["rows"]) == ("error", 1000, 3)


def test_ages_grow_while_nothing_else_changes() -> None:
    """The kept part of an entry does not keep its age."""
    rendered, known = renderer(check("database")), moment(state("database"))
    ages = []
    for later in (0.0, 5.0):
        at = dataclasses.replace(known, now=NOW + later)
        ages.append(json.loads(rendered.detailed(at, full=False))["checks"]["database"]["age_ms"])
    assert ages == [1000, 6000]


def test_what_cannot_be_rendered_is_unknown() -> None:
    """A state that no store should have let through does not take the probe down."""
    known = moment(state("database", data={"set": {1, 2}}), state("redis"))
    passes, said = ready(known, check("database"), check("redis"))
    assert not passes
    assert said["checks"]["database"]["reason"] == "unreadable"
    assert said["checks"]["redis"]["status"] == "ok"


def test_the_body_of_a_single_check() -> None:
    """Its entry, with its name and the time."""
    rendered = renderer(check("database"))
    passes, body = rendered.check(check("database"), moment(state("database")), full=False)
    assert passes
    assert json.loads(body) == {"name": "database", "timestamp": TIME, "status": "ok", "response_time_ms": 2, **FRESH}


@pytest.mark.parametrize("tried", [True, False])
def test_startup_depends_on_one_attempt_good_or_bad(tried: bool) -> None:
    """A store that is down does not keep a container from starting."""
    started, body = renderer().startup(moment(answering=False if tried else None, tried=tried))
    assert started is tried
    assert json.loads(body)["status"] == ("started" if tried else "starting")


def test_a_roster_reads_a_group_that_is_all_critical_for_a_single_check() -> None:
    """Asked for by itself, an optional check is the one that matters."""
    assert roster().single(check("cpu", critical=False)).critical == {"cpu"}
