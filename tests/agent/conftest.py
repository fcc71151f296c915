"""Workers of one package share a Redis server, and keep apart by database, node name and key prefix."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.agent import beacon_file
from tests.support.agents import StartAgentWorker, start_agent_worker
from tests.support.rabbitmq_server import rabbitmq_server
from tests.support.sentinels import sentinels

__all__ = ["StartAgentWorker", "rabbitmq_server", "sentinels", "start_agent_worker"]


@pytest.fixture(autouse=True)
def pulses(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where workers leave their pulse: not where a developer's own workers do."""
    directory = tmp_path_factory.mktemp("pulses")
    monkeypatch.setitem(os.environ, beacon_file.VARIABLE, str(directory))
    yield directory
