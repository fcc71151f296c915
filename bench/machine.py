"""Where the numbers come from: the machine and the versions, in one line each."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

PACKAGES = ("celery", "kombu", "redis", "hiredis", "django", "granian", "django-health-check", "django-watchman")


def describe() -> str:
    """CPU, cores, memory, kernel, Python, package versions and today's date."""
    memory_gib = psutil.virtual_memory().total / 2**30
    hardware = f"{_cpu_model()}, {os.cpu_count()} cores, {memory_gib:.0f} GiB"
    system = f"Linux {platform.release()}, Python {platform.python_version()}, {_redis_version()}"
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{datetime.date.today().isoformat()}: {hardware}; {system}; {packages}"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown CPU"


def _redis_version() -> str:
    output = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=False).stdout
    return next((f"Redis {word[2:]}" for word in output.split() if word.startswith("v=")), "Redis of unknown version")
