"""Probes answered in front of Django's handlers, for WSGI and ASGI.

Not a middleware, because even the outermost is not ahead of everything: ALLOWED_HOSTS and SECURE_SSL_REDIRECT would
refuse kubelet, which sends the pod's address as Host, and ``request_started`` makes Django look after its database
connections, for as long as a hanging database pleases.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler

from monitor.api import mounts, refusals
from monitor.api.pages import Page, ProbeResponse
from monitor.api.targets import is_past, path_info

RETRY_SECONDS = 1.0
_ANY = (None, "", "*/*")
_REFUSALS = (401, 404, 405)


class ProbeRouter:
    """The probes of one project, by path."""

    def __init__(self, found: tuple[mounts.Mount, ...]) -> None:
        self.pages: dict[str, Page] = {}
        """Pages by path, for requests that ask for nothing special: filled as they are asked for."""
        self._mounts = found
        if found:
            # Imported where it is used: a project's workers have this app too, and no need of a configuration.
            from monitor.api.service import service  # noqa: PLC0415

            self._service = service()
            self._service.refresher.start()

    def answer(self, path: str, *, query: str = "", cookies: str = "", **request: Any) -> ProbeResponse | None:
        """The answer to a request (see ``Probes.answer``); None when it is for Django.

        That is: not for a probe, or for the past, or for what it may be authorised for by a session, which takes the
        project's database.
        """
        target = mounts.find(self._mounts, path)
        if target is None or is_past(target, query):
            return None
        probes = self._service.probes
        answer = probes.answer(target, query=query, **request)
        if answer.status == 401 and f"{settings.SESSION_COOKIE_NAME}=" in cookies:
            return None
        page = probes.public_page(target) if answer.status not in _REFUSALS else None
        if page is not None:
            self.pages[path] = page
        return answer


class _NotYet:
    """Stands where a front will be, once the project's URLconf can be imported."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.tried_at = time.monotonic()


def install() -> None:
    """Put the probes in front of Django's handlers. Doing it again changes nothing."""
    refusals.install()
    if not hasattr(WSGIHandler, "_monitor_front"):
        _patch(WSGIHandler, _wsgi(WSGIHandler.__call__))
        _patch(ASGIHandler, _asgi(ASGIHandler.__call__))


def _patch(handler: Any, call: Any) -> None:
    original = handler.__init__

    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        _attach(self)

    handler._monitor_front = None
    handler.__init__ = init
    handler.__call__ = call


def _attach(handler: Any) -> ProbeRouter | _NotYet:
    """The front of a handler, now that its project is set up; tried again by a later request when that fails."""
    front: ProbeRouter | _NotYet
    try:
        front = ProbeRouter(mounts.discover(getattr(handler, "urlconf", settings.ROOT_URLCONF)))
    except Exception as error:  # noqa: BLE001 - a URLconf may raise anything; Django reports it to who asks for a page
        import structlog  # noqa: PLC0415 - a project's workers have this app too, and 4 MB to save

        structlog.get_logger("monitor.api").warning("probes.not_mounted", error=f"{type(error).__name__}: {error}")
        front = _NotYet()
    handler._monitor_front = front
    return front


def _front(handler: Any) -> ProbeRouter | _NotYet:
    front: ProbeRouter | _NotYet | None = handler._monitor_front
    if front is None or (isinstance(front, _NotYet) and time.monotonic() - front.tried_at > RETRY_SECONDS):
        front = _attach(handler)
    return front


def _wsgi(original: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    @functools.wraps(original)
    def call(self: Any, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        front = self._monitor_front
        page = front.pages.get(environ.get("PATH_INFO")) if front is not None else None
        if (
            page is not None
            and environ["REQUEST_METHOD"] == "GET"
            and environ.get("HTTP_ACCEPT") in _ANY
            and not environ.get("QUERY_STRING")
            and "HTTP_AUTHORIZATION" not in environ
            and "HTTP_COOKIE" not in environ
        ):
            answer = page.current()
        else:
            answer = _answer_wsgi(_front(self), environ)
            if answer is None:
                return original(self, environ, start_response)
        # A copy, for a WSGI server may change the list it is given.
        start_response(answer.line, answer.headers.copy())
        return [answer.body] if environ["REQUEST_METHOD"] != "HEAD" else []

    return call


def _answer_wsgi(front: ProbeRouter | _NotYet, environ: dict[str, Any]) -> ProbeResponse | None:
    if isinstance(front, _NotYet):
        return None
    return front.answer(
        path_info(environ),
        method=environ["REQUEST_METHOD"],
        query=environ.get("QUERY_STRING", ""),
        accept=environ.get("HTTP_ACCEPT", ""),
        authorization=environ.get("HTTP_AUTHORIZATION", ""),
        cookies=environ.get("HTTP_COOKIE", ""),
        origin=environ,
    )


def _asgi(original: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(original)
    async def call(self: Any, scope: dict[str, Any], receive: Any, send: Any) -> None:
        answer = _answer_asgi(_front(self), scope) if scope["type"] == "http" else None
        if answer is None:
            await original(self, scope, receive, send)
            return
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.raw_headers})
        body = answer.body if scope["method"] != "HEAD" else b""
        await send({"type": "http.response.body", "body": body})

    return call


def _answer_asgi(front: ProbeRouter | _NotYet, scope: dict[str, Any]) -> ProbeResponse | None:
    if isinstance(front, _NotYet):
        return None
    # Sessions are of our own servers, none of which speaks ASGI.
    headers = {name: value for name, value in scope["headers"] if name in (b"accept", b"authorization")}
    cookies = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")  # HTTP/2 cuts them up
    return front.answer(
        _path_info(scope),
        method=scope["method"],
        query=scope.get("query_string", b"").decode("latin-1"),
        accept=headers.get(b"accept", b"").decode("latin-1"),
        authorization=headers.get(b"authorization", b"").decode("latin-1"),
        cookies=cookies.decode("latin-1"),
    )


def _path_info(scope: dict[str, Any]) -> str:
    """The path below the script name, as Django's ASGIRequest understands it."""
    path: str = scope["path"]
    script_name = settings.FORCE_SCRIPT_NAME or scope.get("root_path", "")
    return path.removeprefix(script_name) if script_name else path
