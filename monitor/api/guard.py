"""Decorator of the Django views that need authorisation."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import conditional_page

from monitor.api.pages import METHODS
from monitor.api.responses import failure
from monitor.api.service import service
from monitor.api.views import is_staff

View = Callable[..., HttpResponse]
V = TypeVar("V", bound=View)
NOW = "X-Monitor-Now"
"""Header with the time of the store's clock in epoch seconds. Clients compute ages from it."""


def guarded(view: View) -> View:
    """Return a view that calls ``view`` for authorised GET and HEAD requests, and otherwise returns 401 or 405.

    ``view`` gets the service as ``request.service`` and the current snapshot as ``request.snapshot``. Its response gets
    an ETag, is compressed if the client accepts gzip, and gets the header ``NOW``. HEAD gets the response without body.
    """
    compressed = gzip_page(conditional_page(view))

    @csrf_exempt  # type: ignore[untyped-decorator]
    @login_not_required  # the function checks access itself
    @non_atomic_requests  # type: ignore[untyped-decorator]  # ATOMIC_REQUESTS would begin a transaction first
    @functools.wraps(view)
    def respond(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method not in METHODS:
            return failure(405, "method_not_allowed", headers={"Allow": ", ".join(METHODS)})
        request.service = service()
        if not is_authorised(request):
            return failure(401, "unauthorized", headers={"WWW-Authenticate": "Bearer"})
        request.service.refresher.start()
        request.snapshot = request.service.refresher.snapshot()
        is_head, request.method = request.method == "HEAD", "GET"
        response = compressed(request, *args, **kwargs)
        response[NOW] = f"{request.snapshot.now:.3f}"
        if is_head:
            response["Content-Length"] = str(len(response.content))
            response.content = b""
        return response

    return respond  # type: ignore[no-any-return]


def login_not_required(view: V) -> V:
    """Exempt a view from Django's LoginRequiredMiddleware, because the view checks access itself.

    Django's decorator of that name sets the same attribute. Django before 5.1 has neither the decorator nor the
    middleware.
    """
    view.login_required = False  # type: ignore[attr-defined]
    return view


def is_authorised(request: HttpRequest) -> bool:
    """Return whether the request has the token, a session or a staff login."""
    access = service().access
    if access.allows(request.headers.get("Authorization", ""), request.META):
        return True
    return access.allows("", {}, is_staff=is_staff(request))
