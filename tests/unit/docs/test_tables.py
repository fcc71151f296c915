"""Tables of the documentation list what the code has: nothing is missing, nothing is left over."""

from __future__ import annotations

import json
import re
from pathlib import Path

from monitor.model.checks import NoticeKind
from monitor.policy.workers.verdicts import QueueVerdict, WorkerVerdict

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
GOLDEN = ROOT / "tests" / "contract" / "golden"
"""What the endpoints offer; `tests/contract` compares it with the code."""


def first_column(page: str, heading: str) -> list[str]:
    """Return the names in backticks of a table's first column. ``heading`` is the text of its first heading."""
    names: list[str] = []
    is_it = False
    for line in (DOCS / page).read_text().splitlines():
        cell = line.split("|")[1].strip() if line.startswith("|") else None
        if cell == heading:
            is_it = True
        elif cell is None:
            is_it = False
        elif is_it:
            names += re.findall(r"`([^`]+)`", cell)
    assert names
    return names


def test_verdicts() -> None:
    """docs/workers.md explains each verdict of a worker and of a queue."""
    assert {*first_column("workers.md", "verdict")} == {verdict.value for verdict in WorkerVerdict}
    assert {*first_column("workers.md", "queue")} >= {verdict.value for verdict in QueueVerdict}


def test_notices() -> None:
    """docs/alerting.md explains each kind of notice."""
    assert first_column("alerting.md", "kind") == [kind.value for kind in NoticeKind]


def test_metrics_of_the_sidecar() -> None:
    """docs/sidecar.md has each metric of the probe."""
    found = re.findall(r"^# TYPE (health_probe_\w+) ", (GOLDEN / "sidecar.txt").read_text(), re.MULTILINE)
    listed = first_column("sidecar.md", "metric")
    assert {name.removesuffix("_total") for name in listed} == {name.removesuffix("_total") for name in found}


def test_variables_of_the_sidecar() -> None:
    """docs/sidecar.md has each variable of the probe."""
    names = json.loads((GOLDEN / "surface.json").read_text())["environment"]
    ours = ("MONITOR_", "CELERY_HEALTH", "DATABASE_")
    assert {*first_column("sidecar.md", "name")} == {name for name in names if not name.startswith(ours)}


def test_endpoints() -> None:
    """docs/endpoints.md has each path of the API's description."""
    text = (DOCS / "endpoints.md").read_text()
    paths = json.loads((GOLDEN / "openapi.json").read_text())["paths"]
    names = [path.removeprefix("/api/health/").replace("{name}", "NAME") for path in paths]
    assert [name for name in names if f"{name}`" not in text and f"{name}?" not in text] == []


def test_checks_of_the_monitor() -> None:
    """docs/self-monitoring.md has each check that the monitor makes of itself."""
    stored = (GOLDEN / "stored-from-nothing.json").read_text()
    made = set(re.findall(r'"(monitor:(?:alerts|beat|queue|results|schedule|store))"', stored))
    assert {*first_column("self-monitoring.md", "check")} == made
