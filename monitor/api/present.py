"""snapshot/: everything that is known now, from memory."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from ninja import Router

from monitor.api.guard import answer
from monitor.api.schema.bodies import Refusal, SnapshotAnswer
from monitor.api.schema.parameters import Question
from monitor.api.service import service

QUESTIONS: dict[str, type[Question]] = {"snapshot": Question}

router = Router(tags=["the present"])


@router.get("snapshot/", response={200: SnapshotAnswer, 401: Refusal}, operation_id="snapshot")
def snapshot(request: HttpRequest) -> HttpResponse:
    """Everything that is known now: what a dashboard asks every two seconds, with the ETag of the last answer."""
    known = service()
    known.refresher.start()
    return answer(known.snapshots.present(known.refresher.moment(), known.refresher.reaches.known))
