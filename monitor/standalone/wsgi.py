"""WSGI application of the monitor's web server, with the Django settings of the project but without its URLs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.urls import ResolverMatch

from monitor.api.pages import CONFINED
from monitor.api.service import service
from monitor.lib import logs

MAX_BODIES = 2
"""Limit on simultaneous requests with a body.

A thread that reads a body waits for the client. The other threads must stay free for probes.
"""


class Handler(WSGIHandler):  # type: ignore[misc]
    """Django's WSGI handler with the URLconf of the monitor instead of the project's."""

    urlconf = "monitor.standalone.urls"
    _bodies = threading.BoundedSemaphore(MAX_BODIES)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Respond to a request.

        If the request may have a body and ``MAX_BODIES`` such requests are in progress, respond with 503 at once.
        """
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return super().__call__(environ, start_response)  # type: ignore[no-any-return]
        if not self._bodies.acquire(blocking=False):
            start_response("503 Service Unavailable", [("Content-Length", "0"), ("Retry-After", "1")])
            return []
        try:
            return super().__call__(environ, start_response)  # type: ignore[no-any-return]
        finally:
            self._bodies.release()

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        """Return the view for a request from the URLconf of the monitor. Called by Django."""
        request.urlconf = self.urlconf
        return super().resolve_request(request)

    def get_response(self, request: HttpRequest) -> HttpResponse:
        """Return the response to a request. Add the monitor's headers to responses that Django itself makes."""
        response = super().get_response(request)
        for name, value in CONFINED.items():
            response.setdefault(name, value)
        return response


def get_application() -> Handler:
    """Return a handler for the monitor's URLs. The project need not have this app in its INSTALLED_APPS."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "monitor.settings")
    django.setup(set_prefix=False)
    from monitor.api import refusals, wrapper  # noqa: PLC0415 - must be imported after django.setup

    config = service().config
    logs.configure(config.log_format, config.log_level)
    wrapper.install()
    refusals.install(everywhere=True)
    return Handler()


application = get_application()
