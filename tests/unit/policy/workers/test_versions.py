"""The reason `outdated`: agents and monitor of different versions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.agent import protocol
from monitor.agent.protocol import Beacon
from monitor.config.settings import WorkerSettings
from monitor.model.checks import Status, WorkerVerdict
from monitor.policy.workers.outcomes import summary_outcome, worker_outcome
from monitor.policy.workers.verdicts import WorkerObservation
from monitor.policy.workers.versions import older_side
from tests.support.builders import NOW

SETTINGS = WorkerSettings(interval=10)


def beacon(version: str | None) -> Beacon:
    """A beacon of an agent of this version; None for an agent that reports none."""
    versions = {"celery": "5.5.3"} if version is None else {"celery": "5.5.3", "monitor": version}
    return Beacon("w@h", "h", 1, "prefork", 2, 10, 1000.0, versions=versions)


def observation(version: str | None) -> WorkerObservation:
    return WorkerObservation(beacon(version), 1.0, 1.0, NOW - 1)


@pytest.mark.parametrize(
    ("agent", "monitor", "older"),
    [
        ("0.2.0", "0.2.0", None),
        ("0.2", "0.2.0", None),
        ("0.2.0rc1", "0.2.0", None),
        ("0.2.0", "0.10.0", "agent"),
        ("0.10.0", "0.2.0", "monitor"),
        ("1.0.1", "1.0", "monitor"),
        (None, "0.1.0", "agent"),
        ("unknown", "0.1.0", None),
        ("0.1.0", "unknown", None),
        (None, "", None),
        ("9" * 400, "0.1.0", None),
    ],
)
def test_the_older_side(agent: str | None, monitor: str, older: str | None) -> None:
    """Release numbers are compared. A version that nobody knows is never older."""
    assert older_side(beacon(agent), monitor) == older


@pytest.mark.parametrize(("agent", "side"), [(None, "agent"), ("0.1.0", "agent"), ("0.3.0", "monitor")])
def test_an_outdated_worker_stays_ok(agent: str | None, side: str) -> None:
    """The verdict and the status stay. Reason, message and data name the older side."""
    outcome = worker_outcome(observation(agent), WorkerVerdict.CONSUMING, SETTINGS, "0.2.0")
    assert (outcome.status, outcome.reason, outcome.data["outdated"]) == (Status.OK, "outdated", side)
    assert outcome.data["verdict"] == "consuming"
    assert "0.2.0" in (outcome.message or "")
    summary = summary_outcome({"worker:w@h": outcome}, suspended=False, critical=True)
    assert (summary.status, summary.reason, summary.data["outdated"]) == (Status.OK, "outdated", 1)
    assert summary.detail == {"outdated": ["w@h"]}
    assert "w@h" in (summary.message or "")


@pytest.mark.parametrize("verdict", [WorkerVerdict.LOST, WorkerVerdict.WEDGED])
def test_a_failing_worker_keeps_its_reason(verdict: WorkerVerdict) -> None:
    """An error is not hidden behind a difference of versions."""
    outcome = worker_outcome(observation("0.1.0"), verdict, SETTINGS, "0.2.0")
    assert (outcome.status, outcome.reason, outcome.data["outdated"]) == (Status.ERROR, verdict, "agent")
    summary = summary_outcome({"worker:w@h": outcome}, suspended=False, critical=True)
    assert (summary.status, summary.reason) == (Status.WARNING, verdict)


def test_equal_versions_are_not_reported() -> None:
    """The reason is the verdict, and the summary has none."""
    outcome = worker_outcome(observation("0.2.0"), WorkerVerdict.CONSUMING, SETTINGS, "0.2.0")
    assert (outcome.reason, outcome.data["outdated"]) == ("consuming", None)
    assert summary_outcome({"worker:w@h": outcome}, suspended=False, critical=True).reason is None


def test_the_version_is_in_the_beacon() -> None:
    """A beacon without it decodes, too, and its agent counts as an earlier one."""
    decoded = protocol.decode(protocol.encode(beacon("0.2.0")))
    assert decoded is not None
    assert decoded.version == "0.2.0"
    without = protocol.decode(protocol.encode(replace(beacon(None), versions={})))
    assert without is not None
    assert without.version == ""


def test_a_retired_worker_is_not_outdated() -> None:
    """It has ended, so its version does not matter."""
    outcome = worker_outcome(observation("0.1.0"), WorkerVerdict.RETIRED, SETTINGS, "0.2.0")
    assert (outcome.reason, outcome.data["outdated"]) == ("retired", None)
