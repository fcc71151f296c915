"""The bodies of the Kafka probe, made of states: exact to the field."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from monitor.api.refresher import CachedSnapshot
from monitor.api.roster import RosterReader
from monitor.config import CheckSpec
from monitor.model.checks import State
from monitor.sidecar import contract
from monitor.sidecar.verdict import current_verdict, failures
from tests.support.builders import values

SKEWED = "Hot-key skew high: 5.20x (threshold: 4.0x, window: 5m)"
LIMITS = {"window_seconds": 300.0, "skew_threshold": 4.0, "min_consumers": 2}
GOOD = {"skew_ratio": 1.1, "skew_ratio_max": 1.5, "consumers": 3, "consumers_min": 2, **LIMITS}
BAD = {"skew_ratio": 5.2, "skew_ratio_max": 5.2, "consumers": 2, "consumers_min": 2, "findings": ["skew"], **LIMITS}
EXTRA = ("check", "status", "reason", "held", "note", "age_ms")


def kafka(name: str = "kafka", **fields: Any) -> CheckSpec:
    """A check of a consumer group, as the environment makes it."""
    options = {"consumer_groups": ["orders"], "window": 300.0, "skew_threshold": 4.0, "min_consumers": 2}
    return values.check(name, **{"kind": "kafka_group", "options": options, **fields})


def ok(name: str = "kafka", **fields: Any) -> State:
    """It has nothing to say."""
    return values.state(name, **{"data": GOOD, "message": "System healthy", **fields})


def bad(name: str = "kafka", **fields: Any) -> State:
    """A hot key."""
    return values.state(name, "error", **{"data": BAD, "reason": "skew", "message": SKEWED, **fields})


def ready(*checks: CheckSpec, at: CachedSnapshot, **fields: Any) -> dict[str, Any]:
    """The body of /ready, as a client gets it."""
    body: dict[str, Any] = json.loads(
        json.dumps(contract.ready_body(current_verdict(values.roster(*checks, **fields), at)))
    )
    return body


def core(body: dict[str, Any]) -> dict[str, Any]:
    """Without what is more than the contract."""
    return {key: value for key, value in body.items() if key not in EXTRA}


def test_the_body_of_the_contract() -> None:
    """Hot key: exactly the body of the contract, and behind it what the numbers are worth."""
    body = ready(kafka(), at=values.moment(bad()))
    assert core(body) == {
        "healthy": False,
        "message": SKEWED,
        "window_minutes": 5,
        "checks": {
            "skew_ratio": {"value": 5.2, "threshold": 4.0, "healthy": False, "window": "5m", "aggregation": "max"},
            "consumer_count": {"value": 2, "min_required": 2, "healthy": True, "window": "5m", "aggregation": "min"},
        },
    }
    assert {key: body[key] for key in EXTRA if key in body} == {
        "check": "kafka",
        "status": "error",
        "reason": "skew",
        "age_ms": 1000,
    }


def test_healthy() -> None:
    """Nothing found: the numbers of the window, and the words of the contract."""
    body = ready(kafka(), at=values.moment(ok()))
    assert (body["healthy"], body["message"]) == (True, "System healthy")
    assert (body["checks"]["skew_ratio"]["value"], body["checks"]["consumer_count"]["value"]) == (1.5, 2)
    assert body["checks"]["skew_ratio"]["healthy"] and body["checks"]["consumer_count"]["healthy"]


@pytest.mark.parametrize(
    ("said", "message", "skew", "consumers"),
    [
        pytest.param(
            {"reason": "under_replicated", "message": "Under-replicated: 1 consumers (min: 2, window: 5m)"},
            "Under-replicated: 1 consumers (min: 2, window: 5m)",
            True,
            False,
            id="too few consumers",
        ),
        pytest.param(
            {
                "reason": "skew",
                "message": f"{SKEWED}; Under-replicated: ...",
                "data": BAD | {"findings": ["skew", "under_replicated"]},
            },
            SKEWED,
            False,
            False,
            id="both at once: the first speaks",
        ),
        pytest.param(
            {"reason": "stalled", "message": "Stalled: 1 partition without progress"},
            "Stalled: 1 partition without progress",
            True,
            True,
            id="another rule, which neither of the two checks is about",
        ),
        pytest.param(
            {"reason": "refused", "message": "kafka-1.secret.example:9092: connection refused", "data": {}},
            "Source failed: refused",
            False,
            False,
            id="the source's own message may hold hosts",
        ),
        pytest.param(
            {"result": "ok", "message": "System healthy", "data": GOOD},
            "Recovering: not yet confirmed",
            False,
            False,
            id="good again, but the success threshold is not reached",
        ),
    ],
)
def test_what_fails(said: dict[str, Any], message: str, skew: bool, consumers: bool) -> None:
    """Each finding in its own words, and which of the two checks it is about."""
    body = ready(kafka(), at=values.moment(values.state("kafka", "error", **{"data": GOOD, **said})))
    healths = {name: check["healthy"] for name, check in body["checks"].items()}
    assert (body["healthy"], body["message"]) == (False, message)
    assert healths == {"skew_ratio": skew, "consumer_count": consumers}


def test_before_the_first_result() -> None:
    """Not healthy before anybody has looked."""
    body = ready(kafka(), at=values.moment())
    assert (body["healthy"], body["message"], body["reason"]) == (False, "Not observed yet", "not_observed")
    assert body["checks"]["skew_ratio"] == {
        "value": None,
        "threshold": 4.0,
        "healthy": False,
        "window": "5m",
        "aggregation": "max",
    }


def test_before_the_first_result_where_verdicts_are_kept() -> None:
    """There is none to keep: no data. Where they are kept for ever, that is no failure, but not well either."""
    for forever in (False, True):
        said = roster(forever)
        body = contract.status_body(current_verdict(said, values.moment()), said)
        assert (body["healthy"], body["overall_healthy"]) == (forever, False)
        assert (body["message"], body["status"]) == ("No data from the source (not_observed)", "unknown")
        assert body.get("held", False) is forever
        assert [check["value"] for check in body["checks"].values()] == [None, None]
        assert not any(check["healthy"] for check in body["checks"].values())


def roster(forever: bool) -> RosterReader:
    """A roster whose group `ready` keeps verdicts for 300 s, or for ever."""
    hold_for = "forever" if forever else "300s"
    return values.roster(kafka(), hold=["ready"], hold_for=hold_for)


def test_an_old_result() -> None:
    """A result out of date fails, or keeps the verdict for a while; the body says which."""
    body = ready(kafka(), at=values.moment(ok(age=31)))
    assert (body["healthy"], body["status"], body["reason"]) == (False, "stale", "stale")
    assert body["message"] == "Last result is out of date (observed 2025-12-27T11:59:29.000Z)"
    good = ready(kafka(), at=values.moment(ok(age=300)), hold=["ready"])
    assert (good["healthy"], good["note"]) == (True, "the last verdict is kept: there is no new result")
    still_bad = ready(kafka(), at=values.moment(bad(age=31)), hold=["ready"])
    assert (still_bad["healthy"], still_bad["age_ms"], still_bad["held"]) == (False, 31000, True)
    assert still_bad["note"] == "the last verdict is kept: there is no new result"


@pytest.mark.parametrize("forever", [False, True])
@pytest.mark.parametrize("made", [ok, bad])
def test_a_result_that_is_too_old_to_be_kept(forever: bool, made: Callable[..., State]) -> None:
    """Its numbers are none any more."""
    said = roster(forever)
    body = contract.status_body(current_verdict(said, values.moment(made(age=301))), said)
    assert (body["healthy"], body["overall_healthy"]) == (forever, False)
    assert (body["message"], body["age_ms"]) == ("No data from the source (stale)", 301_000)
    assert [check["value"] for check in body["checks"].values()] == [None, None]
    assert [check["threshold"] for check in body["checks"].values() if "threshold" in check] == [4.0]


@pytest.mark.parametrize("forever", [False, True])
def test_a_source_that_has_no_data(forever: bool) -> None:
    """The check is unknown; the body has no numbers. `held` says that it fails nothing."""
    message = "No data from the source (refused)"
    state = values.state("kafka", "unknown", data=LIMITS, reason="no_data", message=message, held=forever)
    said = values.roster(kafka())
    body = contract.status_body(current_verdict(said, values.moment(state)), said)
    assert (body["healthy"], body["overall_healthy"], body.get("held")) == (forever, False, forever or None)
    assert (body["message"], body["status"], body["reason"]) == (message, "unknown", "no_data")
    assert [check["value"] for check in body["checks"].values()] == [None, None]
    assert not any(check["healthy"] for check in body["checks"].values())


def test_a_verdict_that_is_kept_has_the_age_of_its_numbers() -> None:
    """And not of the run that asked for them in vain."""
    state = ok(data={**GOOD, "numbers_age_seconds": 200.0, "note": "no answer"}, held=True)
    body = ready(kafka(), at=values.moment(state))
    assert (body["healthy"], body["held"], body["age_ms"], body["note"]) == (True, True, 201_000, "no answer")


def test_too_early_to_say() -> None:
    """A group that starts is unknown and fails nothing."""
    starting = values.state(
        "kafka", "unknown", reason="starting", message="Starting: 0 consumers", grace=True, data=GOOD
    )
    body = ready(kafka(), at=values.moment(starting))
    assert (body["healthy"], body["status"], body["note"]) == (True, "unknown", "too early to judge: starting")


def test_a_note_is_passed_on() -> None:
    """What is said but not counted comes with the result."""
    body = ready(kafka(), at=values.moment(ok(data={**GOOD, "note": "no recording rule"})))
    assert (body["healthy"], body["note"]) == (True, "no recording rule")


def test_several_checks_in_the_group() -> None:
    """The first failing consumer group speaks, with the count of the others; a check of another kind, by its reason."""
    checks = kafka("good"), kafka("bad"), values.check("redis"), kafka("worse")
    states = ok("good"), bad("bad"), values.state("redis", "error", reason="refused", message="10.0.0.7"), bad("worse")
    body = ready(*checks, at=values.moment(*states))
    assert (body["message"], body["check"]) == (f"{SKEWED} (and 2 more)", "bad")
    body = ready(kafka(), values.check("redis"), at=values.moment(ok(), states[2]))
    assert (body["healthy"], body["message"], body["check"]) == (False, "redis: refused", "kafka")
    assert body["checks"]["skew_ratio"]["healthy"]
    fine = ready(kafka(), kafka("optional", critical=False), at=values.moment(ok(), bad("optional")))
    assert (fine["healthy"], fine["check"]) == (True, "kafka")


def test_a_check_of_several_groups() -> None:
    """The worst of all its groups: the highest skew, the fewest consumers; those of another check have no part."""
    summary = {"groups": 3, "failing": 1, "lag": 900, "consumers": 9, "skew_ratio_max": 5.2, **LIMITS}
    message = f"1 of 3 groups: orders: {SKEWED}"
    states = (
        values.state("kafka", "error", data=summary, reason="skew", message=message),
        ok("group:kafka:a"),
        values.state("group:kafka:orders", "error", data={**BAD, "findings": ["skew"]}, reason="skew"),
        ok("group:kafka:b", data={**GOOD, "consumers_min": 4}),
        ok("group:kafkaesque:c", data={**GOOD, "consumers_min": 0, "skew_ratio_max": 9.9}),
    )
    body = ready(kafka(), at=values.moment(*states))
    assert (body["healthy"], body["message"]) == (False, message)
    assert {name: (check["value"], check["healthy"]) for name, check in body["checks"].items()} == {
        "skew_ratio": (5.2, False),
        "consumer_count": (2, True),
    }


def test_a_group_without_a_kafka_check() -> None:
    """The contract's shape even then, without numbers."""
    body = ready(values.check("redis"), at=values.moment(values.state("redis")))
    assert core(body)["checks"]["consumer_count"]["value"] is None
    assert (body["healthy"], body["window_minutes"]) == (True, 5)


def test_status_has_the_configuration_and_no_secret() -> None:
    """The same as ready, the overall verdict, and what is configured; no address, nothing that lets one in."""
    options = {
        "consumer_groups": "orders, refunds",
        "brokers": "kafka-1:9092",
        "sasl_plain_password": "hunter2",
        "source": "prometheus",
        "prometheus_url": "http://u:hunter2@p:9090",
        "prometheus_timeout": 1.5,
        "window": "90s",
    }
    roster = values.roster(kafka(options=options, interval=15))
    body = contract.status_body(current_verdict(roster, values.moment(bad())), roster)
    assert body["overall_healthy"] is False and body["message"] == SKEWED
    assert body["config"] == {
        "kafka": {
            "groups": ["orders", "refunds"],
            "source": "prometheus",
            "skew_threshold": 4.0,
            "min_consumers": 1,
            "window_minutes": 1.5,
            "interval_seconds": 15,
            "timeout_seconds": 5,
            "prometheus_timeout": 1.5,
        }
    }
    assert "hunter2" not in json.dumps(body) and "kafka-1" not in json.dumps(body)


def test_the_service_is_the_consumer_group() -> None:
    """Whom the sidecar is beside: all groups that it watches, each once."""
    assert contract.service_name(values.roster(kafka(), kafka("b"))) == "orders"
    assert contract.service_name(values.roster(kafka(), kafka("b", options={"consumer_groups": "a,b"}))) == "orders,a,b"
    assert contract.service_name(values.roster(values.check("redis"))) == "monitor"


@pytest.mark.parametrize(
    ("states", "found"),
    [
        ((ok(),), []),
        ((bad(),), [("skew_ratio", "skew")]),
        ((bad(reason="under_replicated"),), [("consumer_count", "under_replicated")]),
        ((bad(reason="timeout"),), [("kafka_group", "timeout")]),
        ((), [("kafka_group", "not_observed")]),
    ],
)
def test_what_failures_are_counted_as(states: tuple[State, ...], found: list[tuple[str, str]]) -> None:
    """The two checks of the contract by their names there, anything else by its kind; each with its reason."""
    verdict = current_verdict(values.roster(kafka()), values.moment(*states))
    assert failures(verdict) == found


def test_a_wrong_configuration() -> None:
    """A server without a configuration says so, and is not healthy."""
    verdict = current_verdict(RosterReader(values.config(), problem="configuration"), values.moment())
    assert contract.ready_body(verdict)["message"] == "Nothing is checked: configuration"
    assert failures(verdict) == [("configuration", "configuration")]
