"""Environments with the built wheel, without the constraints of this repository. Each is created once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from matrix import environments
from matrix.environments import Environment

Installed = Callable[..., Environment]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Provide `installed(*extras)`, which returns an environment with these extras and nothing else."""
    wheel = environments.build_wheel(tmp_path_factory.mktemp("wheel"))
    created: dict[tuple[str, ...], Environment] = {}

    def install(*extras: str) -> Environment:
        if extras not in created:
            directory: Path = tmp_path_factory.mktemp("environment") / "venv"
            created[extras] = environments.create(directory, wheel, environments.resolve(extras))
        return created[extras]

    return install
