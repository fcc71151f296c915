"""The content types in which a heartbeat may travel a queue that Celery's own consumer reads."""

from __future__ import annotations

import importlib
from typing import Any

JSON = "application/json"

SERIALIZERS = {
    JSON: "json",
    "application/x-msgpack": "msgpack",
    "application/x-yaml": "yaml",
    "application/x-python-serialize": "pickle",
}
"""Content types, and what kombu calls the serializers of which they are; the first that everybody accepts is taken."""


def accepted(conf: Any) -> tuple[str, ...]:
    """The content types that the workers of an application accept. Empty when that cannot be told."""
    serialization: Any = importlib.import_module("kombu.serialization")
    try:
        found = serialization.prepare_accept_content(conf.accept_content)
    except Exception:  # noqa: BLE001 - whatever a project has put there
        return ()
    if found is None:  # everything that is not switched off
        found = SERIALIZERS.keys() - serialization.registry._disabled_content_types
    return tuple(sorted(map(str, found)))[:50]


def available() -> tuple[str, ...]:
    """Those of `SERIALIZERS` that this process can write."""
    serialization: Any = importlib.import_module("kombu.serialization")
    return tuple(content_type for content_type, name in SERIALIZERS.items() if _writes(serialization, name))


def _writes(serialization: Any, name: str) -> bool:
    try:
        serialization.dumps([], serializer=name)
    except Exception:  # noqa: BLE001 - of a package that is not installed
        return False
    return True
