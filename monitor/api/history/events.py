"""Endpoint events/: changes of checks' statuses."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpResponse
from ninja import Query, Router
from pydantic import Field

from monitor.api import responses
from monitor.api.entries import encode
from monitor.api.history import tables
from monitor.api.schema.bodies import CSV, ERRORS, Described, ShownStatus
from monitor.api.schema.parameters import Parameters
from monitor.config.units import Name
from monitor.presentation import history

MAX_EVENTS = 1000

router = Router(tags=["the past"])


class EventsParameters(Parameters, public_name="EventsQuestion"):
    """Parameters of events/."""

    after: str | None = Field(
        None,
        pattern=r"^[0-9]{1,16}(-[0-9]{1,16})?$",
        description="The cursor of the last event that the client knows. Default: return the oldest events.",
    )
    limit: int = Field(100, ge=1, le=MAX_EVENTS, description="Maximum number of events.")
    check: Name | None = Field(
        None,
        description="Return only events of this check, which may no longer exist. Repeat the request with "
        "`after=cursor` while `more` is true.",
    )
    format: Literal["json", "csv"] = Field("json", description="Format of the response.")


class EventBody(Described, public_name="Event"):
    """A change of a check's status. `id` is the same in events, notifications and logs."""

    cursor: str
    id: str
    check: str
    old: ShownStatus
    new: ShownStatus
    at: float = Field(..., description="Epoch seconds.")
    reason: str | None


class EventsBody(Described, public_name="EventsAnswer"):
    """Events, oldest first. A request with `after=cursor` returns the next events.

    One request reads a limited number of stored events of all checks. So with `check`, the response may have fewer
    events than `limit`, or none, although `more` is true.
    """

    events: list[EventBody]
    cursor: str | None = Field(
        ..., description="The parameter `after` of the next request; null if there are no events and `after` is absent."
    )
    more: bool = Field(..., description="Whether there may be more events, so that the next request need not wait.")


@router.get("events/", response={200: EventsBody, **ERRORS}, operation_id="events", openapi_extra=CSV)
def events(request: Any, parameters: Query[EventsParameters]) -> HttpResponse:
    """Return changes of status, oldest first."""
    with request.service.history.slot() as source:
        page = history.read_events(
            source.states, after=parameters.after, limit=parameters.limit, check=parameters.check
        )
    document = history.events_document(page)
    if parameters.format == "csv":
        headers = {"X-Monitor-More": str(page.more).lower(), "X-Monitor-Cursor": page.cursor or ""}
        return responses.attachment(tables.events(document), tables.MEDIA_TYPE, "events.csv", headers)
    return responses.success(encode(document))
