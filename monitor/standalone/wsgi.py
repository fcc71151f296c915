"""WSGI application of our own server: our URLs only, with the settings of the project that it runs in."""

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
"""Requests with a body at a time. Reading a body waits for its client, and probes need the other threads."""


class Handler(WSGIHandler):  # type: ignore[misc]
    """Django's handler for one URLconf."""

    urlconf = "monitor.standalone.urls"
    _bodies = threading.BoundedSemaphore(BODIES)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request; 503 at once when it may have a body and clients are slow with others."""
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
        """Return the view of a request. Called by Django, which lets a request name its URLconf."""
        request.urlconf = self.urlconf
        return super().resolve_request(request)

    def get_response(self, request: HttpRequest) -> HttpResponse:
        """Return the response to a request; those of Django itself get the same headers as ours."""
        response = super().get_response(request)
        for name, value in CONFINED.items():
            response.setdefault(name, value)
        return response


def get_application() -> Handler:
    """Return a handler that answers probes, even in a project without this app in its INSTALLED_APPS."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "monitor.settings")
    django.setup(set_prefix=False)
    from monitor.api import refusals, wrapper  # noqa: PLC0415 - Django's handlers need the apps

    config = service().config
    logs.configure(config.log_format, config.log_level)
    wrapper.install()
    refusals.install(everywhere=True)
    return Handler()


application = get_application()
