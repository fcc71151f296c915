"""The Celery versions that users' workers are tested with: ours, and the oldest one supported."""

from __future__ import annotations

import sys

from tests.support.celery_nodes import ROOT
from tests.support.processes import missing

VERSIONS = ("current", "5.4")


def python_with_celery(version: str) -> str:
    """The interpreter of an environment with that Celery. The old one holds nothing else of ours (see the Makefile)."""
    if version == "current":
        return sys.executable
    python = ROOT / f".venv/.celery-{version}/bin/python"
    return str(python) if python.exists() else missing(f"Celery {version} (make .venv/.celery-{version}/.installed)")
