"""Judgement: hysteresis, staleness and verdicts, as tables."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor import policy
from monitor.config import CheckSpec
from monitor.model.checks import Overall, Result, State, Status, Transition
from monitor.policy import GroupHold, Reading
from tests.support.builders import NOW

LETTERS = {"o": Status.OK, "w": Status.WARNING, "e": Status.ERROR, "u": Status.UNKNOWN, "g": Status.UNKNOWN}
KEPT, FOREVER = GroupHold(60.0), GroupHold(60.0, forever=True)


def check(**rules: Any) -> CheckSpec:
    return CheckSpec(name="c", kind="python", interval=10, timeout=5, valid_for=30, **rules)


def result(status: Status, at: float, run_id: str = "r", *, grace: bool = False) -> Result:
    return Result(run_id, status, at, at + 30, 1.0, grace=grace)


def play(letters: str, rules: CheckSpec, every: float = 10.0) -> tuple[str, list[Transition], State]:
    """The state's letter after each result, and all transitions."""
    state: State | None = None
    seen, transitions = "", []
    for index, letter in enumerate(letters):
        found = result(LETTERS[letter], NOW + index * every, f"r{index}", grace=letter == "g")
        state, new = policy.advance(state, found, rules)
        seen += state.status.value[0]
        transitions += new
    assert state is not None
    return seen, transitions, state


@pytest.mark.parametrize(
    ("caption", "rules", "results", "states"),
    [
        ("by default every result is believed", {}, "ooeow", "ooeow"),
        ("the first result is believed at once", {"failure_threshold": 3}, "e", "e"),
        ("the third consecutive failure counts", {"failure_threshold": 3}, "oeeeo", "oooeo"),
        ("an ok in between starts the count again", {"failure_threshold": 2}, "oeoeoee", "oooooo" + "e"),
        ("recovery takes two oks", {"success_threshold": 2}, "eooe", "eeoe"),
        ("a failure in between starts recovery again", {"success_threshold": 2}, "eoeoo", "eeeeo"),
        ("a streak turns to the mildest of it", {"failure_threshold": 2}, "owee", "oowe"),
        ("and from there needs its own confirmation", {"failure_threshold": 2}, "oweo", "oowo"),
        ("recovery turns to the worst of it", {"success_threshold": 2}, "ewoo", "eewo"),
        ("warning to error is a worsening too", {"failure_threshold": 2}, "wee", "wwe"),
        ("a worsening must last as well", {"for": 25}, "oeeee", "oooo" + "e"),
        ("not to know is a worsening", {"failure_threshold": 2}, "ouu", "oou"),
        ("to know of an error is worse", {"failure_threshold": 2}, "uee", "uue"),
        ("too early to say is unknown until there is something to say", {"failure_threshold": 2}, "gge", "uue"),
        ("and changes nothing that is known", {"failure_threshold": 2}, "oegge", "oooo" + "e"),
        ("for counts from the first of the streak", {"for": 25}, "oeeoeee", "ooooooo"),
        ("for: a first warning must last", {"for": 25}, "wwww" + "o", "ooow" + "o"),
        ("for: a first warning that passes", {"for": 25}, "wwo", "ooo"),
        ("for: a first error of a critical check does not wait", {"for": 25}, "e", "e"),
        ("for: a first error of another check must last", {"for": 25, "critical": False}, "eeee", "oooe"),
        ("for: nor after it was too early to say", {"for": 25, "critical": False}, "geeee", "uoooe"),
        ("without for, a first warning does not wait", {"critical": False}, "w", "w"),
    ],
)
def test_hysteresis(caption: str, rules: dict[str, Any], results: str, states: str) -> None:
    """Each row: rules, results in order, and the state after each (o ok, w warning, e error, u unknown, g too soon)."""
    assert play(results, check(**rules))[0] == states, caption


def test_a_failure_being_confirmed_asks_for_another_look() -> None:
    """retry_at stands while a worse status waits for confirmation, and at no other time."""
    rules = check(failure_threshold=3, success_threshold=2, retry_interval=2)
    looks = [play(results, rules)[2].retry_at for results in ("o", "oe", "oee", "oeee", "oeeeo")]
    assert looks == [None, NOW + 12, NOW + 22, None, None]


@given(st.text("owe", min_size=1, max_size=40), st.integers(1, 4), st.integers(1, 4), st.sampled_from([0, 15]))
def test_transitions_tell_the_whole_story(letters: str, failure: int, success: int, lasting: int) -> None:
    """Transitions chain from unknown to the final status, with growing numbers; without one the status stays."""
    states, transitions, final = play(
        letters, check(failure_threshold=failure, success_threshold=success, **{"for": lasting})
    )
    assert transitions[0].old is Status.UNKNOWN
    assert all(a.new is b.old for a, b in itertools.pairwise(transitions))
    assert all(t.old is not t.new for t in transitions)
    numbers = [t.sequence for t in transitions]
    assert all(a < b for a, b in itertools.pairwise(numbers))
    assert numbers == [max(int(t.at * 1000), before + 1) for t, before in zip(transitions, [0, *numbers], strict=False)]
    assert transitions[-1].new is final.status
    assert final.since == transitions[-1].at
    changes = 1 + sum(a != b for a, b in itertools.pairwise(states))
    assert len(transitions) == changes


@pytest.mark.parametrize(
    ("caption", "age", "hold", "expected"),
    [
        ("fresh", 5, None, Reading(Status.ERROR, "refused")),
        ("at the last moment", 30, None, Reading(Status.ERROR, "refused")),
        ("too old", 30.1, None, Reading(Status.STALE, "stale")),
        ("too old, but kept", 30.1, KEPT, Reading(Status.ERROR, "stale", True)),
        ("kept for long enough", 60, KEPT, Reading(Status.ERROR, "stale", True)),
        ("too old to be kept", 60.1, KEPT, Reading(Status.STALE, "stale")),
        ("too old to be kept, and it is not to fail", 60.1, FOREVER, Reading(Status.STALE, "stale", True)),
        ("a little ahead of our clock", -5, None, Reading(Status.ERROR, "refused")),
        ("from the future", -5.1, None, Reading(Status.UNKNOWN, "from_the_future")),
    ],
)
def test_reading_a_state(caption: str, age: float, hold: GroupHold | None, expected: Reading) -> None:
    """An old answer is never green, nor one from the future."""
    stored = Result("r", Status.ERROR, NOW, NOW + 30, 1.0, reason="refused")
    state = State("c", Status.ERROR, NOW, 1, stored)
    assert policy.read_status(state, NOW + age, hold=hold) == expected, caption


@pytest.mark.parametrize("name", ["numbers_age_seconds", "held_seconds"])
def test_the_age_of_the_numbers_bounds_how_long_a_verdict_is_kept(name: str) -> None:
    """They were 25 s old when the check ran: 35 s later they are a minute old."""
    stored = Result("r", Status.OK, NOW, NOW + 30, 1.0, data={name: 25.0}, held=True)
    state = State("c", Status.OK, NOW, 1, stored)
    readings = [policy.read_status(state, NOW + age, hold=KEPT) for age in (30, 35, 35.1)]
    assert readings == [
        Reading(Status.OK, None, True),
        Reading(Status.OK, "stale", True),
        Reading(Status.STALE, "stale"),
    ]


@pytest.mark.parametrize(
    ("status", "held", "fails"), [("unknown", True, False), ("unknown", False, True), ("error", True, True)]
)
def test_what_a_check_holds(status: str, held: bool, fails: bool) -> None:
    """Of ignorance it may say that it fails nothing; an error that is kept stays an error."""
    state, _ = policy.advance(None, Result("r", Status(status), NOW, NOW + 30, 1.0, held=held), check())
    assert policy.fails(policy.read_status(state, NOW + 1)) == fails


def test_too_early_to_say_fails_nothing_and_is_no_news() -> None:
    """Until a kind has something to say there is no transition; then there is, also when it still does not know."""
    for seen, expected in (("g", []), ("ggo", ["ok"]), ("ge", ["error"]), ("gu", ["unknown"]), ("guu", ["unknown"])):
        _, transitions, state = play(seen, check())
        assert [transition.new.value for transition in transitions] == expected
        assert policy.fails(policy.read_status(state, state.result.observed_at)) == (seen[-1] in "eu")


def test_never_observed_is_unknown() -> None:
    """No state is no green; it does not fail where a verdict is held for ever."""
    assert policy.read_status(None, NOW) == Reading(Status.UNKNOWN, "not_observed")
    assert policy.fails(policy.read_status(None, NOW))
    assert policy.fails(policy.read_status(None, NOW, hold=KEPT))
    assert not policy.fails(policy.read_status(None, NOW, hold=FOREVER))


@pytest.mark.parametrize(
    ("statuses", "passes", "verdict"),
    [
        ("ok ok", True, Overall.HEALTHY),
        ("", True, Overall.HEALTHY),
        ("ok warning", True, Overall.DEGRADED),
        ("ok error", False, Overall.UNHEALTHY),
        ("ok stale", False, Overall.UNHEALTHY),
        ("ok unknown", False, Overall.UNHEALTHY),
        ("ok error*", True, Overall.DEGRADED),
        ("stale* warning", True, Overall.DEGRADED),
        ("error* unknown", False, Overall.UNHEALTHY),
    ],
)
def test_verdicts(statuses: str, passes: bool, verdict: Overall) -> None:
    """Only error, stale and unknown of a critical check fail (* marks one that is not critical)."""
    readings = {str(i): Reading(Status(word.rstrip("*"))) for i, word in enumerate(statuses.split())}
    critical = {str(i) for i, word in enumerate(statuses.split()) if not word.endswith("*")}
    assert policy.group_passes(readings, critical) is passes
    assert policy.overall(readings, critical) is verdict
