"""Virtual environments with this checkout's wheel, resolved and installed by uv without the project's constraints."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).parents[1]
NAME = "celery-health-monitor"
_OF_PIP = {"PIP_INDEX_URL": "UV_DEFAULT_INDEX", "PIP_EXTRA_INDEX_URL": "UV_INDEX", "PIP_CERT": "SSL_CERT_FILE"}


class Failed(Exception):
    """A command of uv failed. The text is its output."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and the version of each package in it."""

    directory: Path
    versions: Mapping[str, str]

    def command(self, name: str) -> str:
        """Return the path of a command of the environment."""
        return str(self.directory / "bin" / name)


def build_wheel(directory: Path) -> Path:
    """Build the wheel of this checkout."""
    _uv("build", "--quiet", "--wheel", "--out-dir", str(directory), str(ROOT))
    return next(directory.glob("*.whl"))


def resolve(
    extras: Iterable[str],
    requirements: Iterable[str] = (),
    *,
    constraints: Path | None = None,
    lowest: bool = False,
    python: str = sys.executable,
) -> dict[str, str]:
    """Return the version of each package that the extras and other requirements need. Raises Failed on a conflict.

    With ``lowest``, each requirement of `pyproject.toml` gets its lowest version.
    """
    arguments = ["pip", "compile", "--quiet", "--no-header", "--no-annotate", "--python", python]
    arguments += [f"--extra={extra}" for extra in extras]
    arguments += ["--resolution=lowest-direct"] if lowest else []
    arguments += ["--constraint", str(constraints)] if constraints else []
    found = _uv(*arguments, str(ROOT / "pyproject.toml"), "-", standard_input="\n".join(requirements))
    pairs = (line.partition(";")[0].strip().partition("==") for line in found.splitlines() if "==" in line)
    return {name.partition("[")[0].lower(): version for name, _, version in pairs if not name.startswith(NAME)}


def create(directory: Path, wheel: Path, versions: Mapping[str, str], *, python: str = sys.executable) -> Environment:
    """Create an environment with the wheel and exactly these versions."""
    _uv("venv", "--quiet", "--no-project", "--python", python, str(directory))
    packages = [f"{name}=={version}" for name, version in versions.items()]
    _uv("pip", "install", "--quiet", "--no-deps", "--python", str(directory / "bin/python"), *packages, str(wheel))
    return Environment(directory, versions)


def install_into(directory: Path, versions: Mapping[str, str]) -> None:
    """Install packages into a directory, for PYTHONPATH."""
    packages = [f"{name}=={version}" for name, version in versions.items()]
    _uv("pip", "install", "--quiet", "--no-deps", "--python", sys.executable, "--target", str(directory), *packages)


def pythons() -> dict[str, str]:
    """Return the interpreters on this machine that the package supports, the newest of each minor version."""
    lines = _uv("python", "list", "--only-installed", "--no-python-downloads").splitlines()
    found: dict[str, str] = {}
    for line in lines:
        name, path, *_ = line.split()
        implementation, version, *variant = name.split("-")
        minor = ".".join(version.split(".")[:2])
        if implementation == "cpython" and "freethreaded" not in variant[0] and _supported(minor):
            found.setdefault(minor, path)
    return dict(sorted(found.items(), key=lambda item: _numbers(item[0])))


def _supported(minor: str) -> bool:
    return "+" not in minor and _numbers(minor) >= (3, 11)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _uv(*arguments: str, standard_input: str = "") -> str:
    environment = dict(os.environ)
    for pip, uv in _OF_PIP.items():
        if pip in environment:
            environment.setdefault(uv, environment[pip])
    done = subprocess.run(
        [find_uv_bin(), *arguments], check=False, capture_output=True, text=True, input=standard_input, env=environment
    )
    if done.returncode:
        raise Failed(done.stderr.strip() or done.stdout.strip())
    return done.stdout
