"""Endpoints that need authorisation, as a django-ninja API: parameters, bodies, views and errors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import ValidationError

from monitor.api import snapshot
from monitor.api.guard import View
from monitor.api.history import detailed, events, series, uptime
from monitor.api.history_limiter import Busy
from monitor.api.responses import failure
from monitor.api.schema.parameters import NO_SUCH_CHECK, UNKNOWN_PARAMETERS
from monitor.ports.store import StoreUnavailable

RETRY_AFTER = {"Retry-After": "1"}
_HINTS = {
    "check": "write a check's name: letters, digits and _ . @ : -",
    "series": "write names of series, separated by commas",
    "after": "write the cursor of an event",
}
_SHAPE = frozenset({"string_pattern_mismatch", "string_too_long", "string_too_short"})

api = NinjaAPI(
    title="Health monitor",
    version="1",
    description="The current state and the history of every check. Times use the store's clock: numbers are epoch "
    "seconds, texts are ISO 8601. Requests need authorisation: the bearer token, a session, or a staff login. An empty "
    "parameter counts as absent.",
    openapi_url=None,  # `monitor.api.docs` serves the document and the page, at any prefix
    docs_url=None,
    urls_namespace="monitor_api",
)
for endpoint in (series, uptime, events, detailed, snapshot):
    api.add_router("", endpoint.router)


def views() -> Iterable[tuple[str, View, str]]:
    """Yield the path of each endpoint (``history``), its view and its name."""
    for pattern in api.urls[0]:
        if route := str(pattern.pattern).rstrip("/"):
            yield route, _without_empty_parameters(pattern.callback), re.sub(r"\W", "-", route)


@api.exception_handler(ValidationError)
def wrong_parameters(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Return all errors in the parameters with 400; with 404 if the only error is a check that does not exist."""
    problems = [_problem(request, each) for each in error.errors if each["type"] != UNKNOWN_PARAMETERS]
    problems += request.unknown_parameters
    not_found = len(problems) == 1 and error.errors[0]["type"] == NO_SUCH_CHECK
    return failure(404 if not_found else 400, "not_found" if not_found else "wrong_parameters", problems=problems)


@api.exception_handler(StoreUnavailable)
def unavailable(_request: HttpRequest, _error: StoreUnavailable) -> HttpResponse:
    """Return 503, because the store does not answer."""
    return failure(503, "store_unavailable", headers=RETRY_AFTER)


@api.exception_handler(Busy)
def busy(_request: HttpRequest, _error: Busy) -> HttpResponse:
    """Return 503, because no slot is free."""
    return failure(503, "busy", headers=RETRY_AFTER)


def _without_empty_parameters(view: View) -> View:
    def respond(request: HttpRequest, **_of_the_mount: Any) -> HttpResponse:
        request.GET = request.GET.copy()
        for key in [key for key, values in request.GET.lists() if not any(values)]:
            del request.GET[key]
        return view(request)

    return respond


def _problem(request: HttpRequest, error: dict[str, Any]) -> dict[str, Any]:
    key = str(error.get("ctx", {}).get("key") or error["loc"][-1])
    hint = _HINTS.get(key) if error["type"] in _SHAPE else "is required" if error["type"] == "missing" else None
    return {
        "key": key,
        "value": request.GET.get(key),
        "hint": hint or str(error["msg"]).removeprefix("Value error, "),
    }
