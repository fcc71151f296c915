"""What is due in a window of time."""

from __future__ import annotations

import itertools
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config import CheckSpec
from monitor.model.checks import Window
from monitor.policy.schedule import DueCheck, Plan, admit, phase
from tests.support.builders import NOW


def check(name: str, interval: float = 10.0) -> CheckSpec:
    return CheckSpec(name=name, kind="python", interval=interval, timeout=interval / 2, valid_for=3 * interval)


@given(st.lists(st.floats(0.01, 3.0), min_size=1, max_size=60), st.sampled_from([0.1, 1.0, 3.3, 10.0, 60.0]), st.text())
def test_every_turn_is_due_once_however_time_is_cut(steps: list[float], interval: float, name: str) -> None:
    """Windows that follow one another see each turn once; a window longer than the interval sees its last turn only."""
    plan = Plan([check("c" + "".join(c for c in name if c.isalnum() and c.isascii()), interval)])
    since, turns = NOW, []
    for step in steps:
        due = plan.due(Window(since, since + step))
        assert len(due) <= 1
        assert all(since < d.due_at <= since + step for d in due)
        assert len(due) == 1 or step < interval
        turns += [d.due_at for d in due]
        since += step
    assert all(later - earlier > interval * 0.999 for earlier, later in itertools.pairwise(turns))


def test_the_first_window_of_all_runs_everything_at_once() -> None:
    """A new installation is seen green within seconds, not after an interval."""
    plan = Plan([check("a", 10), check("b", 3600)])
    assert plan.due(Window(None, NOW)) == [("a", NOW), ("b", NOW)]


def test_checks_never_observed_and_retries_are_due_at_once() -> None:
    """A check added to the roster, and one whose failure is being confirmed; names not on the roster are ignored."""
    plan = Plan([check("old", 3600), check("new", 3600), check("failing", 3600)])
    window = Window(NOW, NOW + 0.001, retries=("failing", "removed"), observed=frozenset({"old", "failing"}))
    assert {due.check for due in plan.due(window)} == {"new", "failing"}


def test_downtime_leaves_no_backlog() -> None:
    """After an hour without dispatch, each check is due once."""
    plan = Plan([check(f"c{i}", 1 + i % 7) for i in range(100)])
    due = plan.due(Window(NOW - 3600, NOW))
    assert sorted(d.check for d in due) == sorted(f"c{i}" for i in range(100))
    assert [d.due_at for d in due] == sorted(d.due_at for d in due)


def test_checks_spread_over_their_interval_and_keep_their_place() -> None:
    """Phases are uniform, and do not depend on the process or on other checks."""
    phases = [phase(f"check-{i}") for i in range(1000)]
    assert phase("database") == 0.38306615774555847
    assert all(0 <= p < 1 for p in phases)
    tenths = statistics.multimode(int(p * 10) for p in phases)
    assert sum(int(p * 10) == tenths[0] for p in phases) < 150


@pytest.mark.parametrize(
    ("caption", "due", "waiting", "admitted"),
    [
        ("nothing waits: all are sent, however many", 1000, 0, 1000),
        ("a few wait, as they do between two looks", 7, 3, 7),
        ("a small roster may fill the least queue", 7, 60, 4),
        ("and not more than that", 7, 64, 0),
        ("half a window waits: nothing more", 1000, 500, 0),
        ("workers fall behind: the queue is filled up to half a window", 1000, 300, 200),
        ("the backlog of a cold start is worked off first", 250, 8000, 0),
    ],
)
def test_no_more_is_sent_than_workers_take(caption: str, due: int, waiting: int, admitted: int) -> None:
    """A queue longer than an interval would hold overdue runs only."""
    window = [DueCheck(f"c{i}", NOW + i / 1000) for i in range(due)]
    sent = admit(window, waiting, min_queue_limit=64)
    assert len(sent) == admitted, caption
    assert sent == sorted(set(sent) & set(window), key=lambda d: d.due_at)


def test_who_is_left_out_changes() -> None:
    """By chance, so that overload makes every check rarer, and none of them stale for ever."""
    window = [DueCheck(f"c{i}", NOW) for i in range(100)]
    ever = {due.check for _ in range(200) for due in admit(window, 40, min_queue_limit=0)}
    assert len(ever) == 100
