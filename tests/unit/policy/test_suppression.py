"""Why nobody is told: silences, maintenance, and what a check depends on."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config import CheckSpec, Config, MaintenanceSpec
from monitor.model.alerts import Alert, Silence
from monitor.model.checks import Result, Snapshot, State, Status
from monitor.policy.suppression import Dependencies, Suppression, hold, in_maintenance
from tests.support.builders import NOW

BERLIN = ZoneInfo("Europe/Berlin")


def window(**keys: object) -> MaintenanceSpec:
    """A time of maintenance."""
    return MaintenanceSpec.model_validate({"name": "m", **keys})


NIGHTS = {"from": "22:00", "until": "06:00", "timezone": "Europe/Berlin"}
WINDOWS = {
    "once, before": (
        {"start": "2026-12-24T22:00:00", "end": "2026-12-25T06:00:00"},
        "2026-12-24T21:59:59+00:00",
        False,
    ),
    "once, at its start": (
        {"start": "2026-12-24T22:00:00", "end": "2026-12-25T06:00:00"},
        "2026-12-24T22:00:00+00:00",
        True,
    ),
    "once, at its end": (
        {"start": "2026-12-24T22:00:00", "end": "2026-12-25T06:00:00"},
        "2026-12-25T06:00:00+00:00",
        False,
    ),
    "once, in its zone": (
        {"start": "2026-12-24T22:00:00", "end": "2026-12-25T06:00:00", "timezone": "Europe/Berlin"},
        "2026-12-24T21:30:00+00:00",
        True,
    ),
    "every day, within": ({"from": "10:00", "until": "11:00"}, "2026-11-20T10:30:00+00:00", True),
    "every day, after": ({"from": "10:00", "until": "11:00"}, "2026-11-20T11:00:00+00:00", False),
    "over midnight, in the evening": (NIGHTS, "2026-11-20T23:00:00+01:00", True),
    "over midnight, in the morning": (NIGHTS, "2026-11-21T05:59:00+01:00", True),
    "over midnight, by day": (NIGHTS, "2026-11-21T12:00:00+01:00", False),
    # 2026-11-20 is a Friday
    "begins on another day": ({**NIGHTS, "days": ["sat"]}, "2026-11-20T23:00:00+01:00", False),
    "began on its day, and goes on into the next": ({**NIGHTS, "days": ["fri"]}, "2026-11-21T05:00:00+01:00", True),
    "of the day before, which was not its day": ({**NIGHTS, "days": ["sat"]}, "2026-11-21T05:00:00+01:00", False),
    "all day": ({"from": "00:00", "until": "00:00", "days": ["fri"]}, "2026-11-20T23:59:59+00:00", True),
    "in summer, by the clock on the wall": (NIGHTS, "2026-07-01T21:00:00+00:00", True),
    "in winter, by the clock on the wall": (NIGHTS, "2026-12-01T20:30:00+00:00", False),
}


@pytest.mark.parametrize("caption", WINDOWS)
def test_maintenance(caption):
    """Open from its start until before its end."""
    keys, moment, expected = WINDOWS[caption]
    assert in_maintenance(window(**keys), datetime.fromisoformat(moment).timestamp()) is expected


@given(st.datetimes(datetime(2026, 1, 2), datetime(2027, 1, 1)), st.times(), st.times())
def test_a_daily_window_is_what_the_wall_clock_says(moment, begin, end):
    """At every moment of the year that is not near a change of the clocks."""
    here = moment.replace(tzinfo=BERLIN)
    near = (here + timedelta(days=1)).utcoffset() != (here - timedelta(days=1)).utcoffset()
    if near or begin == end:
        return
    time = here.time()
    expected = begin <= time < end if begin < end else time >= begin or time < end
    spec = window(**{"from": begin, "until": end, "timezone": "Europe/Berlin"})
    assert in_maintenance(spec, here.timestamp()) is expected


def spec(name: str, *parents: str, kind: str = "http", **options: object) -> CheckSpec:
    """A check with an interval of 10 s."""
    return CheckSpec(name=name, kind=kind, interval=10.0, depends_on=parents, options=options)


def state(name: str, status: Status = Status.OK, observed_at: float = NOW - 1) -> State:
    """A state that is good for 30 s."""
    return State(name, status, NOW - 100, 1, Result("r", status, observed_at, observed_at + 30, 1.0))


def config(*checks: CheckSpec, **keys: object) -> Config:
    """A configuration with these checks."""
    return Config.model_validate({**keys, "checks": {check.name: check for check in checks}})


def held(
    check: str,
    known: Config,
    *states: State,
    since: float = NOW - 5,
    status: Status = Status.ERROR,
    silences: tuple[Silence, ...] = (),
) -> Suppression | None:
    """Why nobody is told that this check fails."""
    return hold(
        Alert(check, status, Status.OK, since, 1),
        config=known,
        dependencies=Dependencies(known),
        silences=silences,
        snapshot=Snapshot({one.check: one for one in states}, NOW),
    )


CHAIN = config(spec("redis", kind="redis", url="redis://h"), spec("api", "redis"), spec("shop", "api"))


def test_a_failing_ancestor_holds_back():
    """However far above; a warning of it does not."""
    fine = [state("api"), state("shop", Status.ERROR)]
    assert held("shop", CHAIN, state("redis", Status.ERROR), *fine) == Suppression("parent", "redis")
    assert held("shop", CHAIN, state("redis", Status.WARNING), *fine) is None
    assert held("redis", CHAIN, state("redis", Status.ERROR), *fine) is None


def test_an_ancestor_that_is_out_of_date_holds_back():
    """Nobody knows whether it fails; that is told of itself."""
    assert held("shop", CHAIN, state("redis", observed_at=NOW - 31), state("api")) == Suppression("parent", "redis")


def test_a_parent_has_its_turn_first():
    """It may fail as well: until it was observed since, or should have been, nobody is told."""
    before = state("api", observed_at=NOW - 8)
    assert held("shop", CHAIN, before, state("redis"), since=NOW - 5) == Suppression("waiting", "api")
    assert held("shop", CHAIN, before, state("redis"), since=NOW - 8) is None
    assert held("shop", CHAIN, state("redis"), since=NOW - 5) == Suppression("waiting", "api")
    assert held("shop", CHAIN, state("redis"), since=NOW - 16) is None


def test_workers_and_queues_need_the_broker_and_the_store():
    """Those that are configured for the monitor, not a check of some other server. Hosts need nothing."""
    ground = config(
        spec("redis", kind="redis"),
        spec("cache", kind="redis", url="redis://other"),
        spec("celery", kind="celery"),
    )
    known = Dependencies(ground)
    assert (
        known.direct_dependencies("worker:a@h")
        == known.direct_dependencies("queue:mail")
        == known.direct_dependencies("workers")
        == ("redis", "celery")
    )
    assert known.direct_dependencies("host:h") == ()


def test_a_backlog_is_no_reason_to_hide_the_queue_that_nobody_consumes():
    """It is what that brings about."""
    ground = config(spec("celery", kind="celery"))
    full = state("celery", Status.ERROR)
    full = replace(full, result=replace(full.result, reason="above_threshold"))
    assert held("queue:mail", ground, full) is None
    assert held("queue:mail", ground, state("celery", Status.ERROR)) == Suppression("parent", "celery")


def test_the_broker_needs_the_store_when_they_are_one_server():
    """Then both fail, and one alert is enough."""
    checks = (spec("redis", kind="redis"), spec("celery", kind="celery"))
    one = config(*checks, redis_url="redis://h/0")
    two = config(*checks, redis_url="redis://h/0", broker_url="redis://b/0")
    assert Dependencies(one).all_dependencies("celery") == ("redis",)
    assert Dependencies(two).all_dependencies("celery") == ()


def test_what_somebody_says_wins_over_what_is_implied():
    """In a circle, each would keep the other from being told."""
    known = Dependencies(
        config(
            spec("redis", "celery", kind="redis"),
            spec("celery", "queue:mail", kind="celery"),
            redis_url="redis://h/0",
        )
    )
    assert known.all_dependencies("redis") == ("celery", "queue:mail")
    assert known.all_dependencies("celery") == ("queue:mail",)
    assert known.all_dependencies("queue:mail") == ()
    assert known.all_dependencies("queue:other") == ("redis", "celery", "queue:mail")


def test_what_is_stale_depends_on_the_monitor_itself():
    """When checks do not run, that is the news: not forty checks that have grown old."""
    known = config(spec("shop"))
    broken = state("monitor:results", Status.ERROR)
    assert held("shop", known, broken, status=Status.STALE) == Suppression("parent", "monitor:results")
    assert held("shop", known, broken, status=Status.ERROR) is None
    assert held("monitor:beat", known, broken, status=Status.STALE) is None


def test_nothing_is_known_of_the_parts_of_a_whole_that_cannot_be_looked_at():
    """A cluster that is down is one alert, not one for each of its groups; a group that fails by itself is told."""
    known = config(spec("kafka", kind="kafka_group"), spec("kafka2"))
    down = state("kafka", Status.ERROR)
    assert held("group:kafka:orders", known, down, status=Status.STALE) == Suppression("parent", "kafka")
    assert held("group:kafka:orders", known, down, status=Status.ERROR) is None
    assert held("group:kafka2:orders", known, down, state("kafka2"), status=Status.STALE) is None


def test_silences_come_first():
    """By name or pattern, until they end."""
    silence = Silence("s", "sh*", NOW - 10, NOW + 10, "we know")
    over = Silence("o", "*", NOW - 10, NOW, "over")
    failing = state("redis", Status.ERROR)
    assert held("shop", CHAIN, failing, silences=(over, silence)) == Suppression("silenced", "s")
    assert held("redis", CHAIN, failing, silences=(over, silence)) is None


def test_maintenance_of_a_check():
    """Of those it names."""
    once = window(
        checks=["shop"], start=datetime.fromtimestamp(NOW - 1, BERLIN), end=datetime.fromtimestamp(NOW + 1, BERLIN)
    )
    known = config(spec("shop"), spec("api"), maintenance={"m": once})
    assert held("shop", known) == Suppression("maintenance", "m")
    assert held("api", known) is None
