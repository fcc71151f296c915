"""What workers, queues and hosts add to the roster's checks."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.model.checks import State, Status
from monitor.policy import Reading, read_status
from monitor.policy.effective_status import RuntimeStates, during_import, overlay
from monitor.policy.runtime_checks import is_runtime_check
from tests.support.builders import NOW
from tests.support.builders.values import check, state

COUNTS = {"workers": {"consuming": 3, "lost": 1}, "queues": {"consumed": 1, "unconsumed": 1}}
SHOWN = {"workers": COUNTS["workers"], "queue_verdicts": COUNTS["queues"]}
PENDING = {"pending_tasks": 4, "queues": {"celery": 4}}


def seen(name: str, *states: State, **fields: Any) -> tuple[Reading, State]:
    """What a check of this name shows at noon, when these states are known."""
    known = {each.check: each for each in states}
    reading, shown = overlay(
        check(name, **fields), read_status(known.get(name), NOW), known.get(name), RuntimeStates(known), NOW
    )
    assert shown is not None
    return reading, shown


def summary(status: str = "ok", **fields: Any) -> State:
    return state("workers", status, **{"data": COUNTS, **fields})


@pytest.mark.parametrize(
    ("caption", "own", "workers", "expected", "added"),
    [
        ("no worker was ever heard", {}, None, ("ok", None), {}),
        ("both are well", {}, summary(), ("ok", None), SHOWN),
        (
            "nobody consumes",
            {},
            summary("error", reason="unconsumed"),
            ("error", "unconsumed"),
            SHOWN,
        ),
        (
            "a worker is lost",
            {},
            summary("warning", reason="lost"),
            ("warning", "lost"),
            SHOWN,
        ),
        (
            "too much waits, and a worker is lost: the check's own reason is kept",
            {"status": "warning", "reason": "above_threshold"},
            summary("warning", reason="lost"),
            ("warning", "above_threshold"),
            SHOWN,
        ),
        (
            "too much waits, for nobody consumes",
            {"status": "warning", "reason": "above_threshold"},
            summary("error", reason="unconsumed"),
            ("error", "unconsumed"),
            SHOWN,
        ),
        (
            "the broker does not answer, and nobody consumes",
            {"status": "error", "reason": "refused"},
            summary("error", reason="unconsumed"),
            ("error", "refused"),
            SHOWN,
        ),
        (
            "a summary that is out of date fails nothing",
            {},
            summary("error", reason="unconsumed", age=31),
            ("ok", None),
            {"workers_stale": True},
        ),
        (
            "the check is out of date, whatever the workers do",
            {"age": 31},
            summary(),
            ("stale", "stale"),
            SHOWN,
        ),
        (
            "judgement is suspended",
            {},
            summary(data=COUNTS | {"suspended": True}),
            ("ok", None),
            SHOWN | {"workers_suspended": True},
        ),
    ],
)
def test_the_brokers_check_with_the_workers(
    caption: str, own: dict[str, Any], workers: State | None, expected: tuple[str, str | None], added: dict[str, Any]
) -> None:
    """The worse status wins, with its reason; the counts are added in any case."""
    status = own.get("status", "ok")
    celery = state("celery", status, data=PENDING, **{key: value for key, value in own.items() if key != "status"})
    reading, shown = seen("celery", celery, *([workers] if workers else []))
    assert (reading.status, reading.reason) == expected, caption
    assert shown.result.data == PENDING | added, caption


def test_a_broker_of_its_own_has_nothing_to_do_with_our_workers() -> None:
    """What is said of one broker's workers is not said of another's."""
    reading, shown = seen("celery", state("celery"), summary("error"), options={"broker_url": "redis://elsewhere"})
    assert (reading.status, dict(shown.result.data)) == ("ok", {})


def host(name: str, *, age: float = 1.0, **vitals: dict[str, Any]) -> State:
    worst = max((Status(each["status"]) for each in vitals.values()), key=lambda each: each.severity)
    return state(f"host:{name}", worst, age=age, data=vitals)


def test_a_host_that_is_busy_for_a_moment_is_no_warning() -> None:
    """The newest beacon has a high number, and the state of the host waits for it to last."""
    busy = state("host:a", "ok", data={"cpu": cpu(99, "warning") | {"reason": "above_threshold"}})
    reading, shown = seen("cpu", state("cpu", data={"percent": 40}), busy)
    assert (reading.status, reading.reason, shown.result.data["percent"]) == ("ok", None, 99)


def cpu(percent: float, status: str = "ok") -> dict[str, Any]:
    return {"percent": percent, "count": 4, "status": status}


@pytest.mark.parametrize(
    ("caption", "own", "hosts", "expected", "worst"),
    [
        ("no host but ours", state("cpu", data={"percent": 9}), [], ("ok", None, 9), None),
        ("ours is worst off", state("cpu", data={"percent": 60}), [host("a", cpu=cpu(50))], ("ok", None, 60), None),
        (
            "one is worse off, and well",
            state("cpu", data={"percent": 40}),
            [host("a", cpu=cpu(50)), host("b", cpu=cpu(55))],
            ("ok", None, 55),
            "b",
        ),
        (
            "the status counts before the number",
            state("cpu", data={"percent": 95}),
            [host("a", cpu=cpu(99)), host("b", cpu=cpu(91, "warning"))],
            ("warning", "above_threshold", 91),
            "b",
        ),
        (
            "a host that is not heard of any more",
            state("cpu", data={"percent": 40}),
            [host("a", age=31, cpu=cpu(99, "warning"))],
            ("ok", None, 40),
            None,
        ),
        (
            "a host that cannot measure it",
            state("cpu", data={"percent": 40}),
            [host("a", memory=cpu(99, "warning"))],
            ("ok", None, 40),
            None,
        ),
        (
            "ours is out of date: nothing is better than that",
            state("cpu", age=31, data={"percent": 99}),
            [host("a", cpu=cpu(50, "warning"))],
            ("stale", "stale", 99),
            None,
        ),
    ],
)
def test_the_worst_host(
    caption: str, own: State, hosts: list[State], expected: tuple[str, str | None, float], worst: str | None
) -> None:
    """By status, then by number; only ours speaks for itself when it is out of date."""
    reading, shown = seen("cpu", own, *hosts)
    assert (reading.status, reading.reason, shown.result.data["percent"]) == expected, caption
    assert shown.result.detail.get("host") == worst, caption
    assert not {"status", "reason"} & shown.result.data.keys(), caption


def test_most_connections() -> None:
    """Connections have no percentage."""
    many = host("a", connections={"active_connections": 70, "status": "ok"})
    _, shown = seen("connections", state("connections", data={"active_connections": 42}), many)
    assert shown.result.data == {"active_connections": 70}


def test_a_check_with_another_name_is_about_our_own_host() -> None:
    """`disk-data` watches a path that the workers' hosts do not speak of."""
    full = host("a", disk={"percent": 99, "status": "warning"})
    reading, _ = seen("disk-data", state("disk-data", data={"percent": 5}), full, kind="disk")
    assert reading.status == "ok"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("workers", True),
        ("worker:celery@web-1", True),
        ("queue:celery", True),
        ("host:web-1", True),
        ("monitor:beat", True),
        ("worker:", False),
        ('worker:"quoted"', False),
        ("workers2", False),
        ("database", False),
    ],
)
def test_names_of_checks_that_come_and_go(name: str, expected: bool) -> None:
    """By their prefix; nothing that could not be the name of a check."""
    assert is_runtime_check(name) is expected


def test_an_import_is_the_reason_of_checks_without_a_valid_result() -> None:
    """A check that is unknown or stale; one with a valid result keeps its own reason."""
    importing = state("monitor:results", "warning", reason="importing", message="importing the project, 42 s")
    states = {"monitor:results": importing}
    reason = ("importing", "importing the project, 42 s")
    for status in (Status.UNKNOWN, Status.STALE):
        reading, message = during_import(Reading(status, "stale"), states, NOW)
        assert (reading.status, reading.reason, message) == (status, *reason)
    valid = Reading(Status.ERROR, "refused")
    assert during_import(valid, states, NOW) == (valid, None)
    unknown = Reading(Status.UNKNOWN, "not_observed")
    assert during_import(unknown, {}, NOW) == (unknown, None)
    assert during_import(unknown, states, NOW + 1e6) == (unknown, None), "the worker no longer reports its import"
