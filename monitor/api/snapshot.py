"""Endpoint snapshot/: the current state of all checks, from the memory of this process."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from ninja import Router
from pydantic import Field

from monitor.api import responses
from monitor.api.schema.bodies import CheckBody, ErrorBody, Open, OverallWord, ReachBody

router = Router(tags=["the present"])


class SnapshotCheckBody(CheckBody, public_name="Present"):
    """A check in a snapshot: the fields that the check has in detailed/, without its age."""

    kind: str
    critical: bool
    groups: list[str]
    series: list[str] = Field(..., description="Names of the fields that history keeps.")


class SnapshotBody(Open, public_name="SnapshotAnswer"):
    """The current state of all checks. To compute an age, subtract a time from the header `X-Monitor-Now`."""

    status: OverallWord
    checks: dict[str, SnapshotCheckBody]
    groups: dict[str, SnapshotCheckBody] = Field(..., description="Checks created by runs of checks: consumer groups.")
    workers: list[dict[str, Any]]
    queues: list[dict[str, Any]]
    hosts: dict[str, Any]
    reaches: ReachBody
    answering: bool = Field(..., description="Whether the store answers.")
    version: str


@router.get("snapshot/", response={200: SnapshotBody, 401: ErrorBody}, operation_id="snapshot")
def snapshot(request: Any) -> HttpResponse:
    """Return the current state of all checks. The dashboard requests it every two seconds, with the last ETag."""
    service = request.service
    return responses.success(service.renderer.snapshot(request.snapshot, service.refresher.reaches.value))
