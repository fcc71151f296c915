"""Content types of heartbeats in shared queues. Celery's own consumer decodes these heartbeats."""

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
"""Content types and the names of their serializers in kombu, in order of preference."""


def accepted(conf: Any) -> tuple[str, ...]:
    """Return the content types that an application's workers accept; empty if ``accept_content`` is invalid."""
    serialization: Any = importlib.import_module("kombu.serialization")
    try:
        content_types = serialization.prepare_accept_content(conf.accept_content)
    except Exception:  # noqa: BLE001 - a project may configure anything
        return ()
    if content_types is None:  # None means all content types that are not disabled
        content_types = SERIALIZERS.keys() - serialization.registry._disabled_content_types
    return tuple(sorted(map(str, content_types)))[:50]


def available() -> tuple[str, ...]:
    """Return the content types in `SERIALIZERS` that this process can write."""
    serialization: Any = importlib.import_module("kombu.serialization")
    return tuple(content_type for content_type, name in SERIALIZERS.items() if _writes(serialization, name))


def _writes(serialization: Any, name: str) -> bool:
    try:
        serialization.dumps([], serializer=name)
    except Exception:  # noqa: BLE001 - the serializer's package may be missing
        return False
    return True
