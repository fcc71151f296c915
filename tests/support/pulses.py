"""Directory for the liveness samples of workers under test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.agent import beacon_file


@pytest.fixture(autouse=True)
def pulses(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Provide a directory for liveness samples that is not that of a developer's own workers."""
    directory = tmp_path_factory.mktemp("pulses")
    monkeypatch.setitem(os.environ, beacon_file.VARIABLE, str(directory))
    yield directory
