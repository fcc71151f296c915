"""What is the same for every answer here: who may have it, which methods, 304, gzip, and the store's clock."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import conditional_page

from monitor.api.entries import encode
from monitor.api.pages import CONFINED
from monitor.api.probes.endpoints import METHODS
from monitor.api.service import service
from monitor.api.views import is_staff

View = Callable[..., HttpResponse]
JSON = "application/json"
NOW = "X-Monitor-Now"
"""The header that has the store's clock, in epoch seconds: what ages are counted from."""


def guarded(view: View) -> View:
    """The view, for the authorised alone: the same rules as for workers/ and alerts/. HEAD is a GET without a body."""
    compressed = gzip_page(conditional_page(view))

    @csrf_exempt  # type: ignore[untyped-decorator]
    @login_not_required  # type: ignore[untyped-decorator]  # it asks by itself
    @non_atomic_requests  # type: ignore[untyped-decorator]  # ATOMIC_REQUESTS would ask the database first
    @functools.wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method not in METHODS:
            return failure(405, "method_not_allowed", headers={"Allow": ", ".join(METHODS)})
        if not is_authorised(request):
            return failure(401, "unauthorized", headers={"WWW-Authenticate": "Bearer"})
        is_head, request.method = request.method == "HEAD", "GET"
        response = compressed(request, *args, **kwargs)
        response[NOW] = f"{service().refresher.moment().now:.3f}"
        if is_head:
            response["Content-Length"] = str(len(response.content))
            response.content = b""
        return response

    return answer  # type: ignore[no-any-return]


def is_authorised(request: HttpRequest) -> bool:
    """Whether the request has the token or a session, or comes from staff."""
    access = service().probes.access
    if access.allows(request.headers.get("Authorization", ""), request.META):
        return True
    return access.allows("", {}, is_staff=is_staff(request))


def answer(body: str, content_type: str = JSON, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """A body that may be kept by the one who asked, to be compared with the next one."""
    kept = {"Cache-Control": "private, no-cache", "Vary": "Accept-Encoding", **CONFINED}  # no-store would leave no ETag
    return HttpResponse(body, content_type=content_type, headers=kept | dict(headers or {}))


def failure(status: int, error: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> HttpResponse:
    """An answer that says why there is none."""
    headers = {"Cache-Control": "no-store", **CONFINED, **(headers or {})}
    response = HttpResponse(encode({"error": error, **more}), status=status, content_type=JSON, headers=headers)
    response._has_been_logged = True  # Django would mail a project's admins of every 503
    return response
