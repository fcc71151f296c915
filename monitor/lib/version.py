"""Version of this package, as pip has installed it."""

from __future__ import annotations

import functools
import importlib.metadata

DISTRIBUTION = "celery-health-monitor"
UNKNOWN = "unknown"


@functools.cache
def installed_version() -> str:
    """Return the version of this package; ``unknown`` if pip has not installed the package (a copy on PYTHONPATH)."""
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return UNKNOWN
