"""Merging of nested tables, such as those of configuration sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merged(lower: Mapping[str, Any], higher: Mapping[str, Any]) -> dict[str, Any]:
    """Return both tables merged. If both contain a key, two tables are merged, and otherwise ``higher`` decides."""
    result = {**lower, **higher}
    for key in lower.keys() & higher.keys():
        if isinstance(lower[key], Mapping) and isinstance(higher[key], Mapping):
            result[key] = merged(lower[key], higher[key])
    return result
