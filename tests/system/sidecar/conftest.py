"""Real sidecars."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.sidecars import Sidecar

StartSidecar = Callable[..., Sidecar]


@pytest.fixture
def start_sidecar(tmp_path: Path) -> Iterator[StartSidecar]:
    """`start_sidecar(*arguments, **environment)`; ended with the test."""
    started: list[Sidecar] = []

    def start(*arguments: str, **environ: Any) -> Sidecar:
        module = {"module": environ.pop("module")} if "module" in environ else {}
        started.append(Sidecar(tmp_path, environ, *arguments, **module))
        return started[-1]

    yield start
    for sidecar in started:
        sidecar.end()
