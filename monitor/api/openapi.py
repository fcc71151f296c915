"""The API as django-ninja knows it: what may be asked, what is answered, and the views behind the URLs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from ninja import NinjaAPI
from ninja.errors import ValidationError

from monitor.api import present
from monitor.api.guard import View, failure
from monitor.api.history import endpoints as past
from monitor.api.history_reader import Busy
from monitor.api.schema import probe_operations as described
from monitor.api.schema.parameters import NO_SUCH_CHECK, ODD, Question
from monitor.history.moments import HINT as MOMENT_HINT
from monitor.history.moments import SPAN_HINT
from monitor.ports import StoreUnavailable

RETRY_AFTER = {"Retry-After": "1"}
_NAME_HINT = "write a check's name: letters, digits and _ . @ : -"
_HINTS = {
    "check": _NAME_HINT,
    "series": "write names of series, separated by commas",
    "since": MOMENT_HINT,
    "until": MOMENT_HINT,
    "at": MOMENT_HINT,
    "step": SPAN_HINT,
    "window": SPAN_HINT,
    "after": "write the cursor of an event",
}
_SHAPE = frozenset({"string_pattern_mismatch", "string_too_long", "string_too_short"})
QUESTIONS = past.QUESTIONS | present.QUESTIONS

api = NinjaAPI(
    title="Health monitor",
    version="1",
    description="The present and the past of every check. Times are by the store's clock: numbers are epoch seconds, "
    "texts ISO 8601. For the authorised: who sends the bearer token, staff of the site, or this machine where no token "
    "is set. A parameter that is left empty is as good as absent.",
    openapi_url=None,  # `monitor.api.docs` serves both, under a strict policy and at any prefix
    docs_url=None,
    urls_namespace="monitor_api",
)
api.add_router("", past.router)
api.add_router("", present.router)
api.add_router("", described.router)


def views() -> Iterable[tuple[str, View, str]]:
    """Each of the API's own paths (``history``), its view and its name."""
    for pattern in api.urls[0]:
        route = str(pattern.pattern).rstrip("/")
        if route in QUESTIONS:
            yield route, _read_well(pattern.callback, QUESTIONS[route]), re.sub(r"\W", "-", route)


@api.exception_handler(ValidationError)
def wrong(request: HttpRequest, found: ValidationError) -> HttpResponse:
    """All that is wrong with the parameters, at once: 404 when that is only a check that there is not."""
    problems = [_problem(request, error) for error in found.errors if error["type"] != ODD]
    problems += getattr(request, "odd_parameters", ())
    only_absent = len(problems) == 1 and found.errors[0]["type"] == NO_SUCH_CHECK
    return failure(404 if only_absent else 400, "not_found" if only_absent else "wrong_parameters", problems=problems)


@api.exception_handler(StoreUnavailable)
def unavailable(_request: HttpRequest, _error: StoreUnavailable) -> HttpResponse:
    """The store does not answer."""
    return failure(503, "store_unavailable", headers=RETRY_AFTER)


@api.exception_handler(Busy)
def busy(_request: HttpRequest, _error: Busy) -> HttpResponse:
    """Others are reading."""
    return failure(503, "busy", headers=RETRY_AFTER)


def _read_well(view: View, question: type[Question]) -> View:
    """The view, of a request without the parameters that are left empty, and knowing those that it does not have."""

    def answer(request: HttpRequest, **_of_the_mount: Any) -> HttpResponse:
        given = request.GET.copy()
        for key in [key for key, values in given.lists() if not any(values)]:
            del given[key]
        request.GET = given
        request.odd_parameters = [*_odd(given, question)]
        return view(request)

    return answer


def _odd(given: QueryDict, question: type[Question]) -> Iterable[dict[str, Any]]:
    known = question.model_fields
    for key, values in given.lists():
        if key not in known:
            hint = f"is no parameter; there are {', '.join(known)}" if known else "is no parameter; there are none"
            yield {"key": key, "value": values[-1], "hint": hint}
        elif len(values) > 1:
            yield {"key": key, "value": ", ".join(values), "hint": "should be given once"}


def _problem(request: HttpRequest, error: dict[str, Any]) -> dict[str, Any]:
    key = str(error.get("ctx", {}).get("key") or error["loc"][-1])
    hint = _HINTS.get(key) if error["type"] in _SHAPE else "is required" if error["type"] == "missing" else None
    return {
        "key": key,
        "value": request.GET.get(key),
        "hint": hint or str(error["msg"]).removeprefix("Value error, "),
    }
