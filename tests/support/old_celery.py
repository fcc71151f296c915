"""Celery versions of users' workers under test: ours, and the oldest supported one."""

from __future__ import annotations

import sys

from tests.support.celery_nodes import ROOT
from tests.support.processes import missing

VERSIONS = ("current", "5.4")


def python_with_celery(version: str) -> str:
    """Return the interpreter of an environment with that Celery. The old one has no other package of ours."""
    if version == "current":
        return sys.executable
    python = ROOT / f".venv/.celery-{version}/bin/python"
    return str(python) if python.exists() else missing(f"Celery {version} (make .venv/.celery-{version}/.installed)")
