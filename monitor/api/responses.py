"""Django responses of the endpoints that need authorisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse

from monitor.api.entries import encode
from monitor.api.pages import CONFINED, JSON


def success(body: str, content_type: str = JSON, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return a response that the client may keep, but must revalidate with its ETag before each use."""
    # With `no-store`, Django would set no ETag.
    defaults = {"Cache-Control": "private, no-cache", "Vary": "Accept-Encoding", **CONFINED}
    return HttpResponse(body, content_type=content_type, headers=defaults | dict(headers or {}))


def attachment(text: str, content_type: str, filename: str, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return a text that browsers save as a file."""
    disposition = {"Content-Disposition": f'attachment; filename="{filename.replace(":", "-")}"'}
    return success(text, content_type, disposition | dict(headers or {}))


def failure(status: int, error: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> HttpResponse:
    """Return a JSON response with the code ``error`` and the fields ``more``."""
    headers = {"Cache-Control": "no-store", **CONFINED, **(headers or {})}
    response = HttpResponse(encode({"error": error, **more}), status=status, content_type=JSON, headers=headers)
    response._has_been_logged = True  # otherwise Django mails every 503 to the project's admins
    return response
