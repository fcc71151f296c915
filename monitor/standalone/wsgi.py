"""WSGI application of the monitor's web server: only its own URLs, with the Django settings of the project, if any."""

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

BODIES = 2
"""Limit on simultaneous requests with a body. Reading a body waits for its client; probes need the other threads."""


class Handler(WSGIHandler):  # type: ignore[misc]
    """Django's WSGI handler with the monitor's URLconf."""

    urlconf = "monitor.standalone.urls"
    _bodies = threading.BoundedSemaphore(BODIES)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Respond to a request; with 503 at once if it may have a body and ``BODIES`` such requests are in progress."""
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
        """Return the view of a request, from the monitor's URLconf and not from the project's. Called by Django."""
        request.urlconf = self.urlconf
        return super().resolve_request(request)

    def get_response(self, request: HttpRequest) -> HttpResponse:
        """Return the response to a request. Responses of Django itself get the same headers as those of the monitor."""
        response = super().get_response(request)
        for name, value in CONFINED.items():
            response.setdefault(name, value)
        return response


def get_application() -> Handler:
    """Return a handler for the monitor's URLs, even in a project without this app in its INSTALLED_APPS."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "monitor.settings")
    django.setup(set_prefix=False)
    from monitor.api import refusals, wrapper  # noqa: PLC0415 - Django's handlers need the apps

    config = service().config
    logs.configure(config.log_format, config.log_level)
    wrapper.install()
    refusals.install(everywhere=True)
    return Handler()


application = get_application()
