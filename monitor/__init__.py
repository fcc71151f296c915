"""Health monitor for Django + Celery + Redis: beat runs the checks, Redis keeps the answers, probes only read.

Importing this package imports nothing else; its names are loaded when they are first used.
"""

TYPE_CHECKING = False  # typing is a fifth of what `monitor probe worker` may cost, importlib a twentieth
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"

_LAZY = {
    "app": "monitor.celery_app",  # what `celery -A monitor` looks for
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
