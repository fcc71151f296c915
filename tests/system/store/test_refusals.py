"""What a server answers ends no role: they go on as soon as it is repaired. Real roles, real servers."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from monitor.config import Config
from tests.support.processes import wait_for
from tests.support.rabbitmq_server import RabbitServer, rabbitmq_server
from tests.support.refusals import REFUSALS, Refusal, is_named, refusing, seconds_until_it_works
from tests.support.roles import FailureText, Monitor

__all__ = ["rabbitmq_server"]

AT_START = ("memory is full", "password rotated", "no rights at all", "demoted to a replica", "login refused")
DEFAULT_PREFIX = Config().key_prefix
LIMIT_SECONDS = 90.0
"""Generous, for a busy machine; `docs/soak.md` has the times that were measured."""

by_name = pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
at_start = pytest.mark.parametrize(
    "refusal", [refusal for refusal in REFUSALS if refusal.name in AT_START], ids=lambda refusal: refusal.name
)


@by_name
def test_roles_go_on_after_a_refusal(refusal: Refusal, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Worker, beat and web survive what the server answers; the reason is logged once; all work after the repair."""
    with refusing(refusal, tmp_path, lambda: _rabbit(request)) as (rig, monitor):
        roles = monitor.all_roles()
        monitor.wait_for_results("one", seconds=LIMIT_SECONDS)
        refusal.refuse(rig)
        _wait_until_named(refusal, monitor)
        if refusal.shown is not None:
            _wait_until_shown(refusal.shown, "redis", monitor)
        print(f"works again after {seconds_until_it_works(refusal, rig, monitor, limit=LIMIT_SECONDS):.1f} s")
        monitor.wait_for_ready(200, seconds=LIMIT_SECONDS)
        assert [role.status for role in roles] == ["running"] * 3, monitor.logs()
        _each_reason_once(monitor)


@at_start
def test_roles_start_while_they_are_refused(refusal: Refusal, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The same when the server refuses from the start."""
    with refusing(refusal, tmp_path, lambda: _rabbit(request)) as (rig, monitor):
        refusal.refuse(rig)
        roles = monitor.all_roles()
        _wait_until_named(refusal, monitor)
        print(f"works after {seconds_until_it_works(refusal, rig, monitor, limit=LIMIT_SECONDS):.1f} s")
        monitor.wait_for_ready(200, seconds=LIMIT_SECONDS)
        assert [role.status for role in roles] == ["running"] * 3, monitor.logs()
        _each_reason_once(monitor)


def test_the_schedule_shows_why_results_are_not_stored(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """`monitor:schedule` names the reason that the web process has found, and forgets it after the repair."""
    refusal = next(refusal for refusal in REFUSALS if refusal.name == "memory is full")
    with refusing(refusal, tmp_path, lambda: _rabbit(request)) as (rig, monitor):
        monitor.all_roles()
        wait_for(lambda: "monitor:schedule" in _checks(monitor), seconds=LIMIT_SECONDS, what="the schedule is judged")
        refusal.refuse(rig)
        _wait_until_shown("out_of_memory", "monitor:schedule", monitor)
        refusal.repair(rig)
        wait_for(
            lambda: _checks(monitor)["monitor:schedule"]["status"] == "ok",
            seconds=LIMIT_SECONDS,
            what=FailureText(monitor, "the schedule is kept again"),
        )


@pytest.mark.parametrize("command", ["up", "sidecar"])
def test_process_trees_go_on(command: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """`monitor up` and `monitor sidecar` over a Redis of the user's own, which rotates its passwords."""
    refusal = next(refusal for refusal in REFUSALS if refusal.name == "password rotated")
    with refusing(refusal, tmp_path, lambda: _rabbit(request)) as (rig, monitor):
        role = monitor.run(command, "--port", str(monitor.port), MONITOR_KEY_PREFIX=DEFAULT_PREFIX)
        monitor.wait_for_results("one", seconds=LIMIT_SECONDS)
        refusal.refuse(rig)
        _wait_until_named(refusal, monitor)
        print(f"works again after {seconds_until_it_works(refusal, rig, monitor, limit=LIMIT_SECONDS):.1f} s")
        assert role.status == "running", monitor.logs()


def _rabbit(request: pytest.FixtureRequest) -> RabbitServer:
    server: RabbitServer = request.getfixturevalue("rabbitmq_server")
    return server


def _wait_until_named(refusal: Refusal, monitor: Monitor) -> None:
    wait_for(
        lambda: is_named(refusal, monitor),
        seconds=LIMIT_SECONDS,
        what=FailureText(monitor, f"the log names {' or '.join(refusal.named)}"),
    )


def _wait_until_shown(reason: str, check: str, monitor: Monitor) -> None:
    wait_for(
        lambda: _checks(monitor)[check].get("reason") == reason,
        seconds=LIMIT_SECONDS,
        what=FailureText(monitor, f"{check} shows {reason}"),
    )


def _checks(monitor: Monitor) -> dict[str, Any]:
    checks: dict[str, Any] = monitor.get("detailed")[1]["checks"]
    return checks


def _each_reason_once(monitor: Monitor) -> None:
    """In the log of each role, by server: the broker and the store may be the same one."""
    for role in monitor.roles:
        events = [json.loads(line) for line in role.logs().splitlines() if line.startswith("{")]
        outages = [event for event in events if str(event["event"]).endswith("_unavailable")]
        counted = Counter(
            (event["event"].rpartition(".")[2], event["reason"], event["reason"] or event["message"])
            for event in outages
            if event["reason"] != "server_error"
        )
        assert set(counted.values()) <= {1}, role.logs()
