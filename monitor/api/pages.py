"""Cached responses of probes, each for a tenth of a second or longer."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from time import monotonic

METHODS = ("GET", "HEAD")
JSON = "application/json"
MIN_KEEP_SECONDS = 0.1
"""Time for which a response is kept, unless its rendering is slow (``KEEP_FACTOR``)."""

MAX_KEEP_SECONDS = 1.0
KEEP_FACTOR = 10
"""A response is kept at least this many times as long as its rendering took.

So the rendering of a large response (10,000 checks) uses about a tenth of a core at most.
"""

CONFINED = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
"""Headers of every response: browsers must use its content type, and no page of another site may embed it."""


class ProbeResponse:
    """Response in the forms that WSGI servers (``line``, ``headers``) and ASGI servers (``raw_headers``) need."""

    __slots__ = ("body", "headers", "line", "raw_headers", "status")

    def __init__(self, status: int, body: bytes, content_type: str, *extra: tuple[str, str]) -> None:
        self.status = status
        self.line = f"{status} {HTTPStatus(status).phrase}"
        self.body = body
        self.headers = [
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            *CONFINED.items(),
            *extra,
        ]
        self.raw_headers = [(name.lower().encode(), value.encode()) for name, value in self.headers]


class Page:
    """Cached response, and the function that renders it. Uses no lock, because a fork could copy a locked lock."""

    __slots__ = ("_expires_at", "_render", "_renewing_until", "_response")

    def __init__(self, render: Callable[[], ProbeResponse]) -> None:
        self._render = render
        self._response: ProbeResponse | None = None
        self._expires_at = 0.0
        self._renewing_until = 0.0

    def current(self) -> ProbeResponse:
        """Return the kept response, or render a new response if the kept one has expired.

        While one thread renders, other threads get the expired response.
        """
        response = self._response
        if response is not None and monotonic() < self._expires_at:
            return response
        return self._renew(response)

    def _renew(self, response: ProbeResponse | None) -> ProbeResponse:
        now = monotonic()
        if response is not None and now < self._renewing_until:
            return response
        self._renewing_until = now + MAX_KEEP_SECONDS
        try:
            started_at = time.thread_time()
            response = self._render()
            rendering_seconds = time.thread_time() - started_at
            keep_seconds = min(max(MIN_KEEP_SECONDS, KEEP_FACTOR * rendering_seconds), MAX_KEEP_SECONDS)
            self._response, self._expires_at = response, monotonic() + keep_seconds
            return response
        finally:
            self._renewing_until = 0.0
