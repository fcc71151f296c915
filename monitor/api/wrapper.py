"""Wrapper of Django's WSGI and ASGI handlers that answers probes before the handler runs.

A middleware would run too late, for two reasons:

- ``ALLOWED_HOSTS`` and ``SECURE_SSL_REDIRECT`` would refuse kubelet, which sends the pod's address as Host.
- On the signal ``request_started``, Django checks its database connections, which may hang while the database hangs.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler

from monitor.api import mounts, refusals
from monitor.api.pages import Page, ProbeResponse
from monitor.api.targets import is_for_past, path_info

RETRY_SECONDS = 1.0
_ANY = (None, "", "*/*")
_REFUSALS = (401, 404, 405)


class ProbeRouter:
    """Router that answers the requests for probes, by path. Django gets all other requests."""

    def __init__(self, project_mounts: tuple[mounts.Mount, ...], *, retry_at: float | None = None) -> None:
        self.pages: dict[str, Page] = {}
        """Cached responses by path, for GET requests without query, cookies and authorisation."""
        self.retry_at = retry_at
        """Monotonic time of the next search for mounts, if the URLconf could not be imported."""
        self._mounts = project_mounts
        if project_mounts:
            # Imported here, because a project's workers have this app too, and should not load the service.
            from monitor.api.service import service  # noqa: PLC0415

            self._service = service()
            self._service.refresher.start()

    def answer(self, path: str, environ: Mapping[str, Any]) -> ProbeResponse | None:
        """Return the response to a request with these CGI variables; None for a request that Django gets.

        Django gets requests that are not for a probe, and requests for a past moment. It gets requests that need
        authorisation and have the project's session cookie, too, because only the project's database shows whether the
        session is a staff login.
        """
        target = mounts.find(self._mounts, path)
        if target is None or is_for_past(target, environ.get("QUERY_STRING", "")):
            return None
        probes = self._service.probes
        response = probes.answer_environ(target, environ)
        if response.status == 401 and f"{settings.SESSION_COOKIE_NAME}=" in environ.get("HTTP_COOKIE", ""):
            return None
        page = probes.public_page(target) if response.status not in _REFUSALS else None
        if page is not None:
            self.pages[path] = page
        return response


def install() -> None:
    """Wrap Django's handlers, so that they answer probes. Further calls do nothing."""
    refusals.install()
    if not hasattr(WSGIHandler, "_monitor_router"):
        _patch(WSGIHandler, _wsgi(WSGIHandler.__call__))
        _patch(ASGIHandler, _asgi(ASGIHandler.__call__))


def _patch(handler: Any, call: Any) -> None:
    original = handler.__init__

    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        _attach(self)

    handler._monitor_router = None
    handler.__init__ = init
    handler.__call__ = call


def _attach(handler: Any) -> ProbeRouter:
    """Create the router of a handler after Django has set up the project."""
    try:
        router = ProbeRouter(mounts.discover(getattr(handler, "urlconf", settings.ROOT_URLCONF)))
    except Exception as error:  # noqa: BLE001 - a URLconf may raise anything; Django reports it with the first page
        from monitor.lib import logs  # noqa: PLC0415 - saves 4 MB in a project's workers, which have this app too

        logs.get_logger("monitor.api").warning("probes.not_mounted", error=f"{type(error).__name__}: {error}")
        router = ProbeRouter((), retry_at=time.monotonic() + RETRY_SECONDS)
    handler._monitor_router = router
    return router


def _router(handler: Any) -> ProbeRouter:
    router: ProbeRouter | None = handler._monitor_router
    if router is None or (router.retry_at is not None and time.monotonic() > router.retry_at):
        router = _attach(handler)
    return router


def _wsgi(original: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    @functools.wraps(original)
    def call(self: Any, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        router = self._monitor_router
        page = router.pages.get(environ.get("PATH_INFO")) if router is not None else None
        if (
            page is not None
            and environ["REQUEST_METHOD"] == "GET"
            and environ.get("HTTP_ACCEPT") in _ANY
            and not environ.get("QUERY_STRING")
            and "HTTP_AUTHORIZATION" not in environ
            and "HTTP_COOKIE" not in environ
        ):
            response = page.current()
        else:
            response = _router(self).answer(path_info(environ), environ)
            if response is None:
                return original(self, environ, start_response)
        # A copy, because a WSGI server may change the list.
        start_response(response.line, response.headers.copy())
        return [response.body] if environ["REQUEST_METHOD"] != "HEAD" else []

    return call


def _asgi(original: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(original)
    async def call(self: Any, scope: dict[str, Any], receive: Any, send: Any) -> None:
        response = _router(self).answer(_path_info(scope), _environ(scope)) if scope["type"] == "http" else None
        if response is None:
            await original(self, scope, receive, send)
            return
        await send({"type": "http.response.start", "status": response.status, "headers": response.raw_headers})
        body = response.body if scope["method"] != "HEAD" else b""
        await send({"type": "http.response.body", "body": body})

    return call


def _environ(scope: dict[str, Any]) -> dict[str, str]:
    """Return the CGI variables that probes need.

    The variables for the monitor's own sessions are left out: only its own servers have them, and these use WSGI.
    """
    headers = {
        name: value.decode("latin-1") for name, value in scope["headers"] if name in (b"accept", b"authorization")
    }
    cookies = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")  # HTTP/2 splits the header
    return {
        "REQUEST_METHOD": scope["method"],
        "QUERY_STRING": scope.get("query_string", b"").decode("latin-1"),
        "HTTP_ACCEPT": headers.get(b"accept", ""),
        "HTTP_AUTHORIZATION": headers.get(b"authorization", ""),
        "HTTP_COOKIE": cookies.decode("latin-1"),
    }


def _path_info(scope: dict[str, Any]) -> str:
    """Return the path below the script name, like Django's ASGIRequest."""
    path: str = scope["path"]
    script_name = settings.FORCE_SCRIPT_NAME or scope.get("root_path", "")
    return path.removeprefix(script_name) if script_name else path
