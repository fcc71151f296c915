"""The probes as Django views: for test clients, and for mounts that the wrapper does not see."""

from __future__ import annotations

from typing import Any

import structlog
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from monitor.api.pages import Answer
from monitor.api.service import service
from monitor.api.targets import Target

log = structlog.get_logger("monitor.api")


@csrf_exempt  # type: ignore[untyped-decorator]
@non_atomic_requests  # type: ignore[untyped-decorator]  # ATOMIC_REQUESTS would ask the database first
def probe(request: HttpRequest, what: str, name: str = "", **_of_the_mount: Any) -> HttpResponse:
    """The answer of a probe."""
    return respond(request, Target(what, name))


def respond(request: HttpRequest, target: Target) -> HttpResponse:
    """The answer of a probe as a Django response. Whoever is logged in as staff is authorised."""
    answer = _answer(request, target)
    if answer.status == 401 and is_staff(request):
        answer = _answer(request, target, is_staff=True)
    body = b"" if request.method == "HEAD" else answer.body
    return HttpResponse(body, status=answer.status, headers=dict(answer.headers))


def _answer(request: HttpRequest, target: Target, *, is_staff: bool = False) -> Answer:
    return service().probes.answer(
        target,
        method=request.method or "",
        query=request.META.get("QUERY_STRING", ""),
        accept=request.headers.get("Accept", ""),
        authorization=request.headers.get("Authorization", ""),
        origin=request.META,
        is_staff=is_staff,
    )


def is_staff(request: HttpRequest) -> bool:
    """Whether a member of staff is logged in. Only asked about a request that was refused: it asks the database."""
    try:
        user = getattr(request, "user", None)
        return bool(user is not None and user.is_active and user.is_staff)
    except Exception as error:  # noqa: BLE001 - sessions and users may be kept anywhere
        log.warning("session.unreadable", error=f"{type(error).__name__}: {error}")
        return False
