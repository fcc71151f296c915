"""The probes and lists beside the API, for its description: they are answered elsewhere, in front of Django."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Path, Router

from monitor.api.history.answers import Open, Probed, Refusal
from monitor.api.targets import Target
from monitor.api.views import respond
from monitor.config.units import Name

router = Router(tags=["the present"])
_PROBE: dict[int, Any] = {200: Probed, 503: Probed}
_ONE: dict[int, Any] = {**_PROBE, 404: Refusal}


@router.get("live/", response={200: Probed}, operation_id="live")
def live(request: HttpRequest) -> HttpResponse:
    """Whether this process lives."""
    return respond(request, Target("live"))


@router.get("ready/", response=_PROBE, operation_id="ready")
def ready(request: HttpRequest) -> HttpResponse:
    """Whether no critical check of the group `ready` fails."""
    return respond(request, Target("ready"))


@router.get("startup/", response=_PROBE, operation_id="startup")
def startup(request: HttpRequest) -> HttpResponse:
    """Whether this process has its configuration and has tried to read the store."""
    return respond(request, Target("startup"))


@router.get("groups/{name}/", response=_ONE, operation_id="group")
def group(request: HttpRequest, name: Path[Name]) -> HttpResponse:
    """Whether no critical check of a group fails."""
    return respond(request, Target("groups", name))


@router.get("checks/{name}/", response=_ONE, operation_id="check")
def check(request: HttpRequest, name: Path[Name]) -> HttpResponse:
    """One check: 503 when it is in error, stale or unknown."""
    return respond(request, Target("checks", name))


@router.get("workers/", response={200: Open, 401: Refusal}, operation_id="workers")
def workers(request: HttpRequest) -> HttpResponse:
    """All workers and queues, each with its verdict."""
    return respond(request, Target("workers"))


@router.get("alerts/", response={200: Open, 401: Refusal, 503: Refusal}, operation_id="alerts")
def alerts(request: HttpRequest) -> HttpResponse:
    """What alerting has to tell: 503 to who asks first, and while the store does not answer."""
    return respond(request, Target("alerts"))
