"""What becomes of the tables of checks and groups when nothing is wrong with them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from monitor.config import CheckSpec, Config, GroupSpec, load


def configured(**settings: Any) -> Config:
    """The configuration of this `settings.MONITOR`."""
    return load(django_settings=settings, environ={}).config


def test_the_default_roster():
    """With no configuration at all: three checks that ready depends on, four that only inform."""
    config = configured()
    assert [check.name for check in config.members("ready")] == ["database", "redis", "celery"]
    assert {name: (check.kind, check.critical) for name, check in config.checks.items()} == {
        "database": ("database", True),
        "redis": ("redis", True),
        "celery": ("celery", True),
        "cpu": ("cpu", False),
        "memory": ("memory", False),
        "disk": ("disk", False),
        "connections": ("connections", False),
    }


def test_a_busy_machine_is_no_warning_at_once():
    """`cpu` and `connections` wait for a minute. A table of the check and the table `defaults` have precedence."""
    patient = {"cpu": 60.0, "connections": 60.0}
    assert {name: check.for_seconds for name, check in configured().checks.items() if check.for_seconds} == patient
    assert configured(checks={"cpu": {"for": 0}}).checks["cpu"].for_seconds == 0
    assert {check.for_seconds for check in configured(defaults={"for": "5m"}).checks.values()} == {300}


def test_the_default_roster_can_be_changed():
    """A table of the same name changes a check, `enabled` removes one, a new one joins no group by itself."""
    config = configured(
        checks={"disk": {"interval": "1m", "paths": ["/"]}, "cpu": {"enabled": False}, "shop": {"kind": "http"}}
    )
    assert list(config.checks) == ["database", "redis", "celery", "memory", "disk", "connections", "shop"]
    assert (config.checks["disk"].kind, config.checks["disk"].critical) == ("disk", False)
    assert (config.checks["disk"].interval_seconds, config.checks["disk"].options) == (60, {"paths": ["/"]})
    assert config.checks["shop"].groups == ()


def test_without_the_default_roster():
    """Only what is configured runs; ready exists and is empty."""
    config = configured(default_checks=False, checks={"shop": {"kind": "http"}, "cpu": {"enabled": False}})
    assert list(config.checks) == ["shop"]
    assert config.members("ready") == ()


@pytest.mark.parametrize(
    ("settings", "check", "timeout", "valid"),
    [
        pytest.param({}, {}, 5, 30, id="built in"),
        pytest.param({}, {"interval": "4s"}, 2, 12, id="half of a short interval"),
        pytest.param({}, {"interval": "1h"}, 5, 10800, id="a long interval does not make it patient"),
        pytest.param({"timeout": "2s", "stale_after": 5}, {}, 2, 50, id="defaults of one's own"),
        pytest.param({"timeout": "2s"}, {"interval": 1}, 0.5, 3, id="a default never exceeds half of the interval"),
        pytest.param({"interval": "2s"}, {}, 1, 6, id="follows the default interval"),
        pytest.param({}, {"timeout": "9s", "valid_for": "1m"}, 9, 60, id="said by the check"),
    ],
)
def test_derived_times(settings, check, timeout, valid):
    """A check's time limit and validity follow from its interval and the defaults, unless it names them."""
    found = configured(defaults=settings, checks={"a": {"kind": "x", **check}}).checks["a"]
    assert (found.timeout_seconds, found.valid_seconds) == (timeout, valid)


def test_defaults_reach_every_check():
    """Also those of the default roster; a check's own word wins."""
    config = configured(
        defaults={"failure_threshold": 3, "success_threshold": 2, "for": "5s", "retry_interval": "1s"},
        checks={"a": {"kind": "x", "failure_threshold": 1}},
    )
    redis = config.checks["redis"]
    assert (redis.failure_threshold, redis.success_threshold) == (3, 2)
    assert (redis.for_seconds, redis.retry_interval_seconds) == (5, 1)
    assert (config.checks["a"].failure_threshold, config.checks["a"].for_seconds) == (1, 5)


def test_groups():
    """Members come from both sides, once each and in roster order; a group that is only named exists as well."""
    config = configured(
        checks={
            "a": {"kind": "x", "groups": ["web", "loose"]},
            "b": {"kind": "x"},
            "c": {"kind": "x", "groups": "web"},
        },
        groups={"web": {"checks": ["b", "a", "redis"], "stale": "hold"}},
    )
    assert [check.name for check in config.members("web")] == ["redis", "a", "b", "c"]
    assert [check.name for check in config.members("loose")] == ["a"]
    assert {name: group.stale for name, group in config.groups.items()} == {
        "ready": "fail",
        "web": "hold",
        "loose": "fail",
    }
    with pytest.raises(KeyError):
        config.members("nobody")


def test_a_group_may_list_a_check_that_is_off():
    """It was not forgotten, only switched off; the group goes on without it."""
    config = configured(checks={"redis": {"enabled": False}}, groups={"web": {"checks": ["redis", "database"]}})
    assert [check.name for check in config.members("web")] == ["database"]


def test_a_config_made_by_hand_has_the_same_groups():
    """Tests and tools build a Config without any source."""
    check = CheckSpec(name="a", kind="x", groups=("ready", "b"))
    config = Config(checks={"a": check}, groups={"c": GroupSpec(name="c", checks=("a",))})
    assert {name: config.members(name) for name in config.groups} == {"ready": (check,), "b": (check,), "c": (check,)}
    assert (check.timeout_seconds, check.valid_seconds) == (5, 30)


def test_the_fingerprint_follows_the_schedule():
    """Another interval or another check changes it; a threshold does not."""
    plain = configured().fingerprint
    assert configured(checks={"cpu": {"failure_threshold": 2}}).fingerprint == plain
    assert configured(checks={"cpu": {"interval": 11}}).fingerprint != plain
    assert configured(checks={"cpu": {"enabled": False}}).fingerprint != plain


def test_ten_thousand_checks(tmp_path):
    """A large roster in a file is loaded in about a second (twice that is allowed on a busy machine)."""
    table = '[checks.c{}]\nkind = "http"\nurl = "http://host/{}"\ninterval = "10s"\ngroups = ["ready"]\n'
    file = tmp_path / "monitor.toml"
    file.write_text("".join(table.format(number, number) for number in range(10_000)))
    started = time.process_time()
    config = load(file=file, environ={}).config
    assert time.process_time() - started < 2
    assert len(config.members("ready")) == 10_003
