"""The least that a WSGI server can serve: the upper bound of everything else on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

HEADERS = [("Content-Type", "text/plain"), ("Content-Length", "2")]


def application(_environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer ``ok``."""
    start_response("200 OK", HEADERS)
    return [b"ok"]
