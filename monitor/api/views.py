"""Django views of the probes, for test clients and for prefixes that `monitor.api.mounts` does not find."""

from __future__ import annotations

from typing import Any

from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from monitor.api.service import service
from monitor.api.targets import Target
from monitor.lib import logs

log = logs.get_logger("monitor.api")


@csrf_exempt  # type: ignore[untyped-decorator]
@non_atomic_requests  # type: ignore[untyped-decorator]  # ATOMIC_REQUESTS would begin a transaction first
def probe(request: HttpRequest, endpoint: str, name: str = "", **_of_the_mount: Any) -> HttpResponse:
    """Return the response of a probe."""
    return respond(request, Target(endpoint, name))


def respond(request: HttpRequest, target: Target) -> HttpResponse:
    """Return the response of a probe as a Django response. A login with ``is_staff`` authorises the request."""
    probes, environ = service().probes, {**request.META, "REQUEST_METHOD": request.method}
    response = probes.answer_environ(target, environ)
    if response.status == 401 and is_staff(request):
        response = probes.answer_environ(target, environ, is_staff=True)
    body = b"" if request.method == "HEAD" else response.body
    return HttpResponse(body, status=response.status, headers=dict(response.headers))


def is_staff(request: HttpRequest) -> bool:
    """Return whether a user with ``is_staff`` is logged in.

    May read the project's database. So call this only for requests that no other proof authorises.
    """
    try:
        user = getattr(request, "user", None)
        return bool(user is not None and user.is_active and user.is_staff)
    except Exception as error:  # noqa: BLE001 - a project may keep sessions and users anywhere
        log.warning("session.unreadable", error=f"{type(error).__name__}: {error}")
        return False
