"""The probes as Django views: for test clients, and for mounts that the wrapper does not see."""

from __future__ import annotations

from typing import Any

from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from monitor.api.service import service
from monitor.api.targets import Target


@csrf_exempt  # type: ignore[untyped-decorator]
@non_atomic_requests  # type: ignore[untyped-decorator]  # ATOMIC_REQUESTS would ask the database first
def probe(request: HttpRequest, what: str, name: str = "", **_of_the_mount: Any) -> HttpResponse:
    """The answer of a probe."""
    return respond(request, Target(what, name))


def respond(request: HttpRequest, target: Target) -> HttpResponse:
    """The answer of a probe as a Django response."""
    answer = service().probes.answer(
        target,
        method=request.method or "",
        query=request.META.get("QUERY_STRING", ""),
        accept=request.headers.get("Accept", ""),
        authorization=request.headers.get("Authorization", ""),
    )
    body = b"" if request.method == "HEAD" else answer.body
    return HttpResponse(body, status=answer.status, headers=dict(answer.headers))
