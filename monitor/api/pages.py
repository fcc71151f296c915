"""Answers that were rendered already, and are given again for a tenth of a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from time import monotonic

KEEP_SECONDS = 0.1
KEEP_AT_MOST_SECONDS = 1.0
COST_SHARE = 10
"""A page that is costly to render (10,000 checks) is kept for this many times its cost: it takes a tenth of a core."""

CONFINED = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
"""Headers of every answer of ours: it is what it says it is, and no page of another site may embed it."""


class Answer:
    """One response: ready to be handed to a WSGI server (``line``, ``headers``) or an ASGI one (``raw_headers``)."""

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
    """An answer and the way to render it anew. Without a lock: a forked process may inherit none that is held."""

    __slots__ = ("_answer", "_expires_at", "_render", "_renewing_until")

    def __init__(self, render: Callable[[], Answer]) -> None:
        self._render = render
        self._answer: Answer | None = None
        self._expires_at = 0.0
        self._renewing_until = 0.0

    def current(self) -> Answer:
        """An answer that is not older than ``KEEP_SECONDS``, or ``COST_SHARE`` times the time it takes to render.

        While one thread renders it anew, others are given the old one.
        """
        answer = self._answer
        if answer is not None and monotonic() < self._expires_at:
            return answer
        return self._renew(answer)

    def _renew(self, answer: Answer | None) -> Answer:
        now = monotonic()
        if answer is not None and now < self._renewing_until:
            return answer
        self._renewing_until = now + KEEP_AT_MOST_SECONDS
        try:
            began = time.thread_time()
            answer = self._render()
            keep = min(max(KEEP_SECONDS, COST_SHARE * (time.thread_time() - began)), KEEP_AT_MOST_SECONDS)
            self._answer, self._expires_at = answer, monotonic() + keep
            return answer
        finally:
            self._renewing_until = 0.0
