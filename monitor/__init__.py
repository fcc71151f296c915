"""Health monitor for Django, Celery and Redis: workers run the checks, Redis keeps the results, probes only read.

Importing this package imports nothing else. Its names are loaded at their first use.
"""

# `monitor probe worker` imports this file: typing would use a fifth of its time budget, importlib a twentieth.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from monitor.celery_app import app
    from monitor.health_checker import HealthChecker
    from monitor.installation import install

__version__ = "0.1.0"

_LAZY = {
    "app": "monitor.celery_app",  # `celery -A monitor` uses this name
    "install": "monitor.installation",
    "HealthChecker": "monitor.health_checker",
}

__all__ = ["HealthChecker", "app", "install"]


def __getattr__(name: str) -> "Any":
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib  # noqa: PLC0415

    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value
