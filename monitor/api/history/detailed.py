"""Endpoint detailed/?at=: every check at a past moment."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from ninja import Query, Router
from pydantic import Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from monitor.api import responses
from monitor.api.schema.bodies import ERRORS, CheckBody, Open, OverallWord
from monitor.api.schema.parameters import MOMENT_DESCRIPTION, Moment, Parameters, request_of
from monitor.presentation.history import states_at

AHEAD_SECONDS = 60.0
"""A requested moment that is at most this far ahead of the store's clock counts as now."""

router = Router(tags=["the past"])


class DetailedParameters(Parameters, public_name="MomentQuestion"):
    """Parameters of detailed/. Without a moment, the current state is returned."""

    at: Moment | None = Field(
        None, description=f"For authorised requests: return the state at this past moment. {MOMENT_DESCRIPTION}"
    )
    full: str | None = Field(
        None, description="Without `at`: add messages and details. A request that is not authorised gets 401."
    )

    @model_validator(mode="after")
    def _check_moment(self, info: ValidationInfo) -> DetailedParameters:
        if self.at is not None and self.at > request_of(info).snapshot.now + AHEAD_SECONDS:
            raise PydanticCustomError("future", "should be in the past", {"key": "at"})
        return self


class DetailedBody(Open, public_name="Detailed"):
    """The overall status and all checks, now or at the past moment `at` (epoch seconds)."""

    status: OverallWord
    timestamp: str
    checks: dict[str, CheckBody]


@router.get("detailed/", response={200: DetailedBody, **ERRORS}, operation_id="detailed", url_name="past")
def detailed(request: Any, parameters: Query[DetailedParameters]) -> HttpResponse:
    """Return every check now, or at a past moment for which single observations are still kept.

    For a past moment, status, reason, series and times are exact; `absent` names the fields that history does not keep.
    """
    service, current = request.service, request.snapshot
    at = current.now if parameters.at is None else min(parameters.at, current.now)
    names = [*service.roster.checks, *(name for name in current.states if name not in service.roster.checks)]
    with service.history.slot() as source:
        bounds = source.history.reaches()
        if bounds.raw is None or at < bounds.raw:
            return _not_kept(request.GET.get("at"), bounds.raw)
        states = states_at(source.history, names, at)
    return responses.success(service.renderer.past(states, at, current, bounds))


def _not_kept(at: str | None, kept_from: float | None) -> HttpResponse:
    hint = "no observation is kept" if kept_from is None else f"observations are kept from {kept_from:.0f} on"
    return responses.failure(404, "not_kept", problems=[{"key": "at", "value": at, "hint": hint}])
