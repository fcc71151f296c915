"""The units of deploy/systemd: read by systemd itself where it is installed, and by their keys everywhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.cli import probe_role
from monitor.config import load

ROOT = Path(__file__).parents[3]
DIRECTORY = ROOT / "deploy" / "systemd"
SERVICES = sorted(DIRECTORY.glob("*.service"))
TARGET = DIRECTORY / "celery-health-monitor.target"
MONITOR = "/opt/celery-health-monitor/bin/monitor"

KEYS = {
    "Unit": {"Description", "Wants", "After", "PartOf", "StartLimitIntervalSec"},
    "Service": {
        "ExecStart", "EnvironmentFile", "Environment", "WorkingDirectory", "Restart", "RestartSec",
        "RestartPreventExitStatus", "TimeoutStopSec", "LimitNOFILE", "MemoryMax", "DynamicUser", "User",
        "RuntimeDirectory", "StateDirectory", "NoNewPrivileges", "CapabilityBoundingSet", "AmbientCapabilities",
        "ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "ProtectClock", "ProtectControlGroups",
        "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables",
        "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality",
        "SystemCallArchitectures", "SystemCallFilter", "UMask",
    },
    "Install": {"WantedBy"},
}  # fmt: skip
"""Keys of systemd.unit(5), systemd.service(5), systemd.exec(5) and systemd.resource-control(5) that units use."""


def settings(unit: Path) -> Iterator[tuple[str, str, str]]:
    """Return section, key and value of each line of a unit."""
    section = ""
    for line in unit.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            yield section, key, value


def values(unit: Path, key: str) -> list[str]:
    """Return the values of a key in the order of their lines."""
    return [value for _, name, value in settings(unit) if name == key]


def test_there_is_a_unit_for_each_role() -> None:
    """Web, worker and beat, each started by its command. The target starts all."""
    commands = {values(unit, "ExecStart")[0] for unit in SERVICES}
    assert commands == {f"{MONITOR} {role}" for role in ("web", "worker", "beat")}
    for unit in SERVICES:
        assert values(unit, "WantedBy") == values(unit, "PartOf") == [TARGET.name]


@pytest.mark.parametrize("unit", [*SERVICES, TARGET], ids=lambda path: path.name)
def test_every_key_is_known(unit: Path) -> None:
    """A misspelt key would be ignored by systemd."""
    for section, key, _ in settings(unit):
        assert key in KEYS[section], f"{section}: {key}"


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """`systemd-analyze verify` reports nothing, once the program exists."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed; the other tests read the same files")
    program = Path(sys.executable).with_name("monitor")
    for unit in [*SERVICES, TARGET]:
        (tmp_path / unit.name).write_text(unit.read_text().replace(MONITOR, str(program)))
    command = ["systemd-analyze", "verify", "--man=no", *sorted(map(str, tmp_path.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_a_role_is_started_again_and_locked_up(unit: Path) -> None:
    """A role that ends is started again for ever, unless its configuration is wrong. It has no privileges."""
    assert values(unit, "Restart") == ["always"]
    assert values(unit, "StartLimitIntervalSec") == ["0"]
    assert values(unit, "RestartPreventExitStatus") == ["2"]
    for key, value in (
        ("DynamicUser", "yes"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("ProtectSystem", "strict"),
        ("SystemCallFilter", "@system-service"),
    ):
        assert values(unit, key) == [value]


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_the_comment_names_the_probe_of_the_role(unit: Path) -> None:
    """The directory of the role's file is its own, and the comment says which probe reads it."""
    role = values(unit, "ExecStart")[0].rpartition(" ")[2]
    (directory,) = values(unit, "RuntimeDirectory")
    assert f"CELERY_HEALTH_MONITOR_DIR=%t/{directory}" in values(unit, "Environment")
    assert f"monitor probe role {role}" in unit.read_text()
    assert role in probe_role.ROLES


def test_the_environment_is_a_configuration() -> None:
    """The roles accept the variables of the example file."""
    text = (DIRECTORY / "environment").read_text()
    environment = dict(re.findall(r"(?m)^([A-Z_]+)=(.*)$", text))
    loaded = load(environ={**environment, "MONITOR_DATA_DIR": "/var/lib/celery-health-monitor"}).config
    assert loaded.project == "shop"
