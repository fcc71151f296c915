"""The package as it was before versions were compared (commit d98bfdf), for tests of upgrades.

The archive is the output of ``git archive d98bfdf monitor pyproject.toml README.md``, so the tests need no Git history.
"""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.celery_nodes import HostProcess
from tests.support.roles import Monitor

ARCHIVE = Path(__file__).parent / "earlier" / "monitor-d98bfdf.tar.xz"


@pytest.fixture(scope="session")
def earlier_version(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Provide a directory that contains the earlier package ``monitor``."""
    directory = tmp_path_factory.mktemp("earlier")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(directory, filter="data")
    yield directory


def start_earlier(monitor: Monitor, directory: Path, *command: str) -> HostProcess:
    """Start `monitor COMMAND` of the earlier package, with the configuration of ``monitor``."""
    argv = [sys.executable, "-m", "monitor", *command]
    return monitor.start(argv, cwd=directory, PYTHONPATH=str(directory))
