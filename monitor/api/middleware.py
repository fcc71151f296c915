"""Middleware that answers probes in projects whose handler is not Django's own. Put it first in MIDDLEWARE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from monitor.api import mounts
from monitor.api.targets import is_for_past
from monitor.api.views import respond


class ProbeMiddleware:
    """Middleware that answers probes ahead of all other middleware, under WSGI and ASGI.

    Django sends the signal ``request_started`` before any middleware runs, and then checks its database connections. So
    a response may wait for a hanging database. `monitor.api.wrapper` has no such wait.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._mounts: tuple[mounts.Mount, ...] | None = None
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Return the response of the probe or of the project. It is awaitable if the project's handler is async."""
        response = self._answer(request)
        if iscoroutinefunction(self):
            return self._awaited(request, response)
        return response or self._get_response(request)

    async def _awaited(self, request: HttpRequest, response: HttpResponse | None) -> Any:
        return response or await self._get_response(request)

    def _answer(self, request: HttpRequest) -> HttpResponse | None:
        if self._mounts is None:
            # At the first request: a URLconf may import modules that are not set up yet when Django calls __init__.
            self._mounts = mounts.discover(settings.ROOT_URLCONF)
        target = mounts.find(self._mounts, request.path_info)
        if target is None or is_for_past(target, request.META.get("QUERY_STRING", "")):
            return None
        response = respond(request, target)
        if response.status_code == 401:
            return None  # the view decides, because the middleware of sessions has not run yet
        return response
