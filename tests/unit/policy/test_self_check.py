"""What the monitor thinks of itself: pure rules."""

from __future__ import annotations

import pytest

from monitor import policy
from monitor.model.alerts import AlertsOverview, DeadLetter, DeliveryQueue
from monitor.model.checks import Result, State, Status
from monitor.policy import self_check
from tests.support.builders import NOW
from tests.support.builders.notices import FIRING
from tests.support.builders.values import check


def state(name: str = "db", *, age: float = 1.0, valid: float = 30.0, **fields: object) -> State:
    """A state whose result is ``age`` seconds old."""
    at = NOW - age
    late = fields.pop("late_ms", 0.0)
    data = fields.pop("data", {})
    result = Result("run", Status.OK, at, at + valid, 1.0, data=data, late_ms=late)  # type: ignore[arg-type]
    return State(name, Status.OK, at, 5, result, **fields)  # type: ignore[arg-type]


EXPIRED = {
    "fresh": (state(age=29), False),
    "at its very end": (state(age=30), False),
    "just over": (state(age=30.5), True),
    "noted before": (state(age=31, stale_since=NOW - 1), False),
}


@pytest.mark.parametrize(("before", "changes"), EXPIRED.values(), ids=EXPIRED)
def test_expire(before: State, changes: bool) -> None:
    """Out of date is noted once, with a transition of its own, and what was known last is kept."""
    after, transitions = policy.expire(before, NOW, "sweep")
    assert bool(transitions) is changes
    assert after.status is before.status
    if changes:
        assert (transitions[0].old, transitions[0].new, transitions[0].reason) == (Status.OK, Status.STALE, "stale")
        assert transitions[0].sequence == after.sequence == max(before.sequence + 1, int(NOW * 1000))
        assert transitions[0].run_id == after.transition_run_id == "sweep"
        assert after.stale_since == NOW


@pytest.mark.parametrize("status", ["ok", "warning", "error"])
def test_a_stale_state_comes_back(status: str) -> None:
    """By one transition, whatever it comes back as, and only once."""
    stale, _ = policy.expire(state(age=31), NOW, "sweep")
    result = Result("next", Status(status), NOW + 1, NOW + 31, 1.0, reason="why")
    after, transitions = policy.advance(stale, result, check("db"))
    assert [(t.old, t.new, t.run_id) for t in transitions] == [(Status.STALE, Status(status), "next")]
    assert transitions[0].sequence > stale.sequence
    assert (after.stale_since, after.status, after.since) == (None, Status(status), NOW + 1)
    again = Result("more", Status(status), NOW + 2, NOW + 32, 1.0)
    assert policy.advance(after, again, check("db"))[1] == ()


def test_a_stale_state_keeps_its_hysteresis() -> None:
    """One bad result after a silence is one of the three it takes; that it is back is told all the same."""
    stale, _ = policy.expire(state(age=31), NOW, "sweep")
    result = Result("next", Status.ERROR, NOW + 1, NOW + 31, 1.0)
    after, transitions = policy.advance(stale, result, check("db", failure_threshold=3))
    assert [(t.old, t.new) for t in transitions] == [(Status.STALE, Status.OK)]
    assert after.streak is not None


OVERDUE = {
    "a fresh result": (state(age=5), NOW - 1000, False),
    "an old one": (state(age=31), NOW - 1000, True),
    "an old one, but nobody has looked for long": (state(age=3000), NOW - 20, False),
    "its turn has come since, and nothing came": (state(age=3000), NOW - 33, True),
}


@pytest.mark.parametrize(("found", "since", "is_overdue"), OVERDUE.values(), ids=OVERDUE)
def test_overdue(found: State, since: float, is_overdue: bool) -> None:
    """A result that could have come and did not; after a gap each check has its turn first."""
    assert bool(self_check.overdue([found], NOW, since)) is is_overdue


TICKING = {
    "never looked before": (None, NOW),
    "looked a moment ago": (state(self_check.BEAT, age=5, data={"ticking_since": 77.0}), 77.0),
    "a gap": (state(self_check.BEAT, age=40, data={"ticking_since": 77.0}), NOW),
    "Redis was restarted, and is back since a while": (
        state(self_check.BEAT, age=13, data={"ticking_since": 77.0}),
        NOW,
    ),
    "garbage": (state(self_check.BEAT, age=5, data={"ticking_since": "x"}), NOW),
}


@pytest.mark.parametrize(("last", "since"), TICKING.values(), ids=TICKING)
def test_ticking_since(last: State | None, since: float) -> None:
    """The time without a gap between two looks."""
    assert self_check.ticking_since(last, NOW, 5.0) == since


LATE = {
    "nothing observed yet": ({}, Status.OK),
    "on time": ({"db": state(late_ms=300.0)}, Status.OK),
    "more than half of its interval of 10 s late": ({"db": state(late_ms=5001.0)}, Status.WARNING),
    "a check that is not configured any more": ({"gone": state("gone", late_ms=9000.0)}, Status.OK),
}


@pytest.mark.parametrize(("states", "status"), LATE.values(), ids=LATE)
def test_schedule(states: dict[str, State], status: Status) -> None:
    """Lateness is judged against the interval of the check."""
    assert self_check.judge_schedule({"db": check("db")}, states).status is status


def test_beat() -> None:
    """Silence counts only once there was time to hear something."""
    assert self_check.judge_beat(NOW - 1, NOW, NOW - 100).status is Status.OK
    assert self_check.judge_beat(NOW - 6, NOW, NOW - 100).reason == "not_dispatching"
    assert self_check.judge_beat(NOW - 6, NOW, NOW - 3).status is Status.OK


def overview(pending: int = 0, oldest_seconds: float = 0.0, dead_seconds: float | None = None) -> AlertsOverview:
    """What waits to be delivered, and the age of a dead letter."""
    lane = DeliveryQueue("ops", pending, NOW - oldest_seconds if pending else None)
    dead = () if dead_seconds is None else (DeadLetter("ops", FIRING, "refused", NOW - dead_seconds, 3),)
    return AlertsOverview(NOW, queues=(lane,), dead_letters=dead)


def test_alerts_and_queue() -> None:
    """Dead letters are a warning, minutes of waiting an error; a queue beyond its limit is a warning."""
    assert self_check.judge_alerts(overview(3, 10.0)).status is Status.OK
    assert self_check.judge_alerts(overview(dead_seconds=86_399.0)).reason == "dead_letters"
    assert self_check.judge_alerts(overview(dead_seconds=86_401.0)).status is Status.OK
    assert self_check.judge_alerts(overview(1, 301.0, 1.0)).reason == "undelivered"
    assert self_check.judge_queue(10, 10).status is Status.OK
    assert self_check.judge_queue(11, 10).status is Status.WARNING


def test_whole() -> None:
    """A dead man's switch is told only while checks are dispatched, results come and alerts can be delivered."""
    good = {
        self_check.BEAT: self_check.judge_beat(NOW, NOW, 0.0),
        self_check.RESULTS: self_check.judge_results({"db": check("db")}, {"db": state()}, []),
        self_check.ALERTS: self_check.judge_alerts(overview(dead_seconds=1.0)),
    }
    assert self_check.may_ping(good)
    assert not self_check.may_ping({**good, self_check.BEAT: self_check.judge_beat(NOW - 60, NOW, 0.0)})
    assert not self_check.may_ping(
        {**good, self_check.RESULTS: self_check.judge_results({"db": check("db")}, {}, [state()])}
    )
    assert not self_check.may_ping({**good, self_check.ALERTS: self_check.judge_alerts(overview(1, 999.0))})


@pytest.mark.parametrize(
    ("caption", "states", "overdue", "importing_seconds", "reason"),
    [
        ("no result yet, and the import has just begun", {}, [], 3.0, None),
        ("no result yet, and the import takes long", {}, [], 41.6, "importing"),
        ("an expired result, and the import takes long", {"db": state()}, [state()], 41.6, "importing"),
        ("an expired result, and no import", {"db": state()}, [state()], None, "overdue"),
        ("another worker runs the checks", {"db": state()}, [], 41.6, None),
    ],
)
def test_an_import_that_takes_long_is_the_reason(
    caption: str, states: dict[str, State], overdue: list[State], importing_seconds: float | None, reason: str | None
) -> None:
    """Only while results are missing: without them there is a reason to give."""
    outcome = self_check.judge_results({"db": check("db")}, states, overdue, importing_seconds)
    assert outcome.reason == reason, caption
    if reason == "importing":
        assert outcome.message == "importing the project, 42 s"
        assert outcome.data["importing_seconds"] == 42
        assert outcome.status is Status.WARNING
