"""Whom is told what, and when: the rules as a table of stories, and what holds for every story."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.policy.alerting import backoff_seconds
from monitor.policy.suppression import Suppression
from tests.support.builders.alerting import FLAP_WINDOW, Story, channel

SILENCED = Suppression("silenced", "s1")
WAITING = Suppression("waiting", "redis")
FREE = None

# caption: channels, and what happens in turn: (second, what it becomes or None, hold), with what is told then
STORIES = {
    "fires when it fails, resolves when it is ok again": (
        [channel()],
        [(0, "ok", []), (10, "error", ["ops:firing:error db:2:run2"]), (20, "ok", ["ops:resolved:ok db:3:run3"])],
    ),
    "what fails when it is first observed is told": ([channel()], [(0, "error", ["ops:firing:error db:1:run1"])]),
    "what is ok when it is first observed is not": ([channel(severity="warning")], [(0, "ok", [])]),
    "a warning is not told to who wants errors": (
        [channel()],
        [
            (0, "warning", []),
            (9, "error", ["ops:firing:error db:2:run2"]),
            (20, "warning", ["ops:resolved:warning db:3:run3"]),
        ],
    ),
    "stale counts as error, and is not told twice": (
        [channel()],
        [
            (0, "ok", []),
            (9, "stale", ["ops:firing:stale db:2:run2"]),
            (20, "error", []),
            (30, "ok", ["ops:resolved:ok db:4:run4"]),
        ],
    ),
    "getting worse is told again, getting milder is not": (
        [channel(severity="warning")],
        [
            (0, "warning", ["ops:firing:warning db:1:run1"]),
            (60, "error", ["ops:firing:error db:2:run2"]),
            (200, "warning", []),
            (400, "error", ["ops:firing:error db:4:run4"]),
            (600, "ok", ["ops:resolved:ok db:5:run5"]),
        ],
    ),
    "only those who were told hear the end": (
        [channel("all", severity="warning"), channel("ops")],
        [(0, "warning", ["all:firing:warning db:1:run1"]), (9, "ok", ["all:resolved:ok db:2:run2"])],
    ),
    "who wants no ends hears none": (
        [channel(resolved=False)],
        [(0, "error", ["ops:firing:error db:1:run1"]), (9, "ok", []), (300, "error", ["ops:firing:error db:3:run3"])],
    ),
    "reminders come every so often, one when several were missed, none after the end": (
        [channel(reminder="60s")],
        [
            (0, "error", ["ops:firing:error db:1:run1"]),
            (59, None, []),
            (60, None, ["ops:reminder:error db:1:run1:reminder:1"]),
            (300, None, ["ops:reminder:error db:1:run1:reminder:2"]),
            (310, "ok", ["ops:resolved:ok db:2:run2"]),
            (900, None, []),
        ],
    ),
    "silenced: nothing is told; afterwards what still fails is told late": (
        [channel()],
        [
            (0, "ok", []),
            (10, "error", [], SILENCED),
            (20, None, [], SILENCED),
            (30, None, ["ops:firing:error db:2:run2:deferred"]),
            (40, "ok", ["ops:resolved:ok db:3:run3"]),
        ],
    ),
    "what began and ended in silence is never told": (
        [channel()],
        [(0, "error", [], SILENCED), (10, "ok", [], SILENCED), (20, None, [])],
    ),
    "silence keeps back reminders and worse, but not the end": (
        [channel(severity="warning", reminder="60s")],
        [
            (0, "warning", ["ops:firing:warning db:1:run1"]),
            (70, "error", [], SILENCED),
            (140, None, [], SILENCED),
            (150, "ok", ["ops:resolved:ok db:3:run3"], SILENCED),
        ],
    ),
    "waiting for a parent's turn is not late": (
        [channel()],
        [(0, "ok", []), (10, "error", [], WAITING), (15, None, ["ops:firing:error db:2:run2"])],
    ),
    "flapping is told once, then nothing until it is quiet, then what it settled at": (
        [channel()],
        [
            (0, "ok", []),
            (10, "error", ["ops:firing:error db:2:run2"]),
            (20, "ok", ["ops:resolved:ok db:3:run3"]),
            (30, "error", ["ops:firing:error db:4:run4"]),
            (40, "ok", ["ops:flapping:ok db:5:run5"]),
            (50, "error", []),
            (60, "ok", []),
            (159, None, []),
            (160, None, ["ops:resolved:ok db:7:run7:settled"]),
            (900, None, []),
        ],
    ),
    "flapping that settles at a failure": (
        [channel(reminder="60s")],
        [
            (0, "ok", []),
            (1, "error", ["ops:firing:error db:2:run2"]),
            (2, "ok", ["ops:resolved:ok db:3:run3"]),
            (3, "error", ["ops:firing:error db:4:run4"]),
            (4, "ok", ["ops:flapping:ok db:5:run5"]),
            (5, "error", []),
            (90, None, []),
            (106, None, ["ops:firing:error db:6:run6:settled"]),
            (166, None, ["ops:reminder:error db:6:run6:reminder:1"]),
            (170, "ok", ["ops:resolved:ok db:7:run7"]),
        ],
    ),
    "flapping between ok and warning does not concern who wants errors": (
        [channel()],
        [(0, "ok", []), *((at, ("warning", "ok")[at % 2], []) for at in range(1, 9)), (200, None, [])],
    ),
    "flapping that begins in silence is told late": (
        [channel()],
        [
            (0, "ok", []),
            (1, "error", [], SILENCED),
            (2, "ok", [], SILENCED),
            (3, "error", [], SILENCED),
            (4, "ok", [], SILENCED),
            (5, None, ["ops:flapping:ok db:5:run5:deferred"]),
            (110, None, ["ops:resolved:ok db:5:run5:settled"]),
        ],
    ),
    "slow changes are no flapping": (
        [channel(resolved=False)],
        [(0, "ok", [])]
        + [
            (at, status, [f"ops:firing:error db:{at // 60 + 1}:run{at // 60 + 1}"] if status == "error" else [])
            for at, status in [(60, "error"), (120, "ok"), (180, "error"), (240, "ok"), (300, "error")]
        ],
    ),
}


@pytest.mark.parametrize("caption", STORIES)
def test_stories(caption):
    """Each told step by step."""
    channels, steps = STORIES[caption]
    story = Story(*channels)
    for at, status, told, *hold in steps:
        story.hold = hold[0] if hold else None
        if status is None:
            story.waits(at)
        else:
            story.becomes(at, status)
        assert story.new() == told, f"{caption}, at {at}"


def test_nothing_is_remembered_of_what_is_well():
    """So that what is kept is as large as what is wrong."""
    story = Story()
    story.becomes(0, "ok")
    assert story.alert is None
    story.becomes(1, "error")
    story.becomes(2, "ok")
    assert story.alert is not None
    story.waits(2 + FLAP_WINDOW)
    assert story.alert is None


def test_the_same_transition_again_changes_nothing():
    """The stream may be read again after a fail-over."""
    story = Story()
    story.becomes(0, "error")
    story._sequence -= 1
    story.new()
    story.becomes(1, "error")
    assert story.new() == []


def test_a_check_that_is_gone_has_ended():
    """A worker that was scaled in, a check that was taken off the configuration: who was told hears so, once."""
    story = Story()
    story.becomes(0, "error")
    story.gone = True
    story.new()
    story.waits(10)
    assert story.new() == ["ops:resolved:ok db:1:run1:gone"]
    assert story.alert is None


def test_a_channel_that_does_not_want_it_any_more_hears_the_end():
    """It was told before its configuration changed."""
    story = Story(channel("a"), channel("b"))
    story.becomes(0, "error")
    story.new()
    story.wanted = ()
    story.becomes(10, "ok")
    assert story.new() == ["a:resolved:ok db:2:run2", "b:resolved:ok db:2:run2"]


def test_two_configurations_beside_each_other():
    """While one with another channel is rolled out, either may decide: the new channel is told of each thing once."""
    story = Story(channel("a"), channel("new"))
    both, old = story.channels, story.channels[:1]
    story.becomes(0, "error")
    assert story.new() == ["a:firing:error db:1:run1", "new:firing:error db:1:run1"]
    story.channels = story.wanted = old
    story.waits(10)
    story.becomes(20, "ok")
    assert story.new() == ["a:resolved:ok db:2:run2"]
    story.channels = story.wanted = both
    story.waits(30)
    assert story.new() == ["new:resolved:ok db:2:run2"]


def test_a_channel_that_was_removed_is_forgotten():
    """After the time that a roll-out may take."""
    story = Story(channel("a"), channel("b"))
    story.becomes(0, "error")
    story.channels = story.wanted = story.channels[:1]
    story.becomes(10, "ok")
    story.waits(3_000)
    assert story.alert is not None
    story.waits(4_000)
    assert story.alert is None


def test_backoff():
    """Doubles, up to five minutes, however often it failed."""
    assert [backoff_seconds(n, 2.0) for n in (1, 2, 3, 8, 9, 10_000)] == [2, 4, 8, 256, 300, 300]


STEP = st.tuples(
    st.floats(min_value=0.1, max_value=150),
    st.sampled_from([None, "ok", "warning", "error", "stale"]),
    st.sampled_from([None, None, SILENCED, WAITING]),
)


@given(st.lists(STEP, max_size=40), st.sampled_from(["warning", "error"]))
@settings(max_examples=300, deadline=None)
def test_every_story(steps, severity):
    """No id is told twice; an end follows a beginning; what is held back begins nothing; and when all is quiet, who was
    told that something fails knows whether it still does."""
    story = Story(channel(severity=severity, reminder="70s"))
    now, status, knows = 0.0, "unknown", "nothing"
    ids: Counter[str] = Counter()
    for wait, becomes, hold in [*steps, (1000.0, None, None), (1000.0, None, None)]:
        now += wait
        story.hold = hold
        if becomes is not None and becomes != status:
            status = becomes
            story.becomes(now, becomes)
        else:
            story.waits(now)
        for line in story.new():
            what, notice_id = line.split()
            ids[notice_id] += 1
            kind = what.split(":")[1]
            assert hold is None or kind == "resolved", line
            assert kind not in {"resolved", "reminder"} or knows != "nothing", line
            knows = "nothing" if kind == "resolved" else kind
    assert set(ids.values()) <= {1}
    level = {"warning": 1, "error": 2}[severity]
    fails = {"unknown": 0, "ok": 0, "warning": 1}.get(status, 2) >= level
    assert (knows in {"firing", "reminder"}) == fails
