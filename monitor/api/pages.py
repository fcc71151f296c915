"""Pages of probes: responses that are kept for a tenth of a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from time import monotonic

METHODS = ("GET", "HEAD")
JSON = "application/json"
KEEP_SECONDS = 0.1
KEEP_AT_MOST_SECONDS = 1.0
COST_SHARE = 10
"""Factor between the time that a page is kept and its rendering time.

So a costly page (10,000 checks) uses at most about a tenth of a core.
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
    """Response and the function that renders it. Uses no lock, because a forked process could inherit a held one."""

    __slots__ = ("_expires_at", "_render", "_renewing_until", "_response")

    def __init__(self, render: Callable[[], ProbeResponse]) -> None:
        self._render = render
        self._response: ProbeResponse | None = None
        self._expires_at = 0.0
        self._renewing_until = 0.0

    def current(self) -> ProbeResponse:
        """Return a response that is at most ``KEEP_SECONDS`` or ``COST_SHARE`` times its rendering time old.

        While one thread renders a new response, other threads get the old one.
        """
        response = self._response
        if response is not None and monotonic() < self._expires_at:
            return response
        return self._renew(response)

    def _renew(self, response: ProbeResponse | None) -> ProbeResponse:
        now = monotonic()
        if response is not None and now < self._renewing_until:
            return response
        self._renewing_until = now + KEEP_AT_MOST_SECONDS
        try:
            began = time.thread_time()
            response = self._render()
            keep = min(max(KEEP_SECONDS, COST_SHARE * (time.thread_time() - began)), KEEP_AT_MOST_SECONDS)
            self._response, self._expires_at = response, monotonic() + keep
            return response
        finally:
            self._renewing_until = 0.0
