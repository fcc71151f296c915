"""What is shown of a configuration: by `monitor config`, and by the reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor import wiring
from monitor.config import load
from monitor.config.describe import SettingRow, describe
from monitor.config.reference import render

REFERENCE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_every_value_with_its_origin():
    """Units are readable, absence is said, a changed default is the origin of what follows from it."""
    loaded = load(
        django_settings={"defaults": {"interval": "30s"}, "checks": {"disk": {"paths": ["/", "/data"]}}},
        environ={"MONITOR_CHECKS__CPU__INTERVAL": "5"},
    )
    rows = {row.key: row for row in describe(loaded, wiring.secret_options)}
    assert [rows[key] for key in ("token", "worker_slots", "refresh_interval", "groups.ready.stale")] == [
        SettingRow("token", "(not set)", "default"),
        SettingRow("worker_slots", "16", "default"),
        SettingRow("refresh_interval", "0.25s", "default"),
        SettingRow("groups.ready.stale", "fail", "default"),
    ]
    assert [rows[f"checks.{key}"] for key in ("cpu.interval", "disk.interval", "disk.paths", "disk.critical")] == [
        SettingRow("checks.cpu.interval", "5s", "environment MONITOR_CHECKS__CPU__INTERVAL"),
        SettingRow("checks.disk.interval", "30s", "settings.MONITOR"),
        SettingRow("checks.disk.paths", "/, /data", "settings.MONITOR"),
        SettingRow("checks.disk.critical", "false", "default"),
    ]


def test_secrets_are_not_printed():
    """Neither by the rows nor by the repr of what was loaded, wherever a secret can be configured."""
    loaded = load(
        django_settings={
            "redis_url": "unix://user:hunter2@/x?db=1",
            "database_url": "postgres://u:hunter2@h/d",
            "token": "hunter2-hunter2-hunter2",
            "broker_transport_options": {"sentinel_kwargs": {"password": "hunter2"}},
            "checks": {"a": {"kind": "http", "url": "http://u:hunter2@h", "headers": {"Authorization": "hunter2"}}},
        },
        environ={},
    )
    rows = describe(loaded, wiring.secret_options)
    assert "hunter2" not in str(rows)
    assert "hunter2" not in repr(loaded)
    assert {row.key: row.value for row in rows}["redis_url"] == "unix://***@/x?db=1"


def test_the_reference_is_current():
    """docs/configuration.md is what the code says; `python -m monitor.config.reference` writes it."""
    assert REFERENCE.read_text() == render()


def test_every_setting_says_what_it_means():
    """No row has an empty last cell, where the meaning stands (the roster's table has groups there)."""
    settings = render().split("## Default roster")[0]
    assert [line for line in settings.splitlines() if line.startswith("| `") and line.endswith("|  |")] == []


@pytest.mark.parametrize("option", ["headers", "prometheus_headers"])
def test_values_of_headers_are_not_printed(option):
    """Whatever the headers are called."""
    check = {"kind": "prometheus", "url": "http://m", "query": "up", option: {"X-Scope-OrgID": "shop-eu"}}
    rows = {
        row.key: row.value
        for row in describe(load(django_settings={"checks": {"mimir": check}}, environ={}), wiring.secret_options)
    }
    assert rows[f"checks.mimir.{option}"] == "X-Scope-OrgID = ***"
    assert "shop-eu" not in str(rows)
