"""Probes in front of real Django handlers, in a project whose settings would refuse them."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from django.core import signals
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings

from monitor.api import wrapper
from monitor.api.service import Service
from monitor.lib.safe_names import check_name
from monitor.policy.runtime_checks import child_name
from monitor.store.memory.store import MemoryStore
from tests.support.builders.values import record

SECURITY = ["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"]


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def by_wsgi(method: str, path: str, **headers: str) -> Response:
    path, _, query = path.encode().decode("latin-1").partition("?")
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "10.1.2.3",
        "SERVER_PORT": "8000",
        "wsgi.input": io.BytesIO(),
        "wsgi.url_scheme": "http",
        **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
    }
    started: list[Any] = []
    body = b"".join(WSGIHandler()(environ, lambda *arguments: started.extend(arguments)))
    return Response(int(started[0].split()[0]), {name.lower(): value for name, value in started[1]}, body)


def by_asgi(method: str, path: str, **headers: str) -> Response:
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"host", b"10.1.2.3"), *((name.encode(), value.encode()) for name, value in headers.items())],
        "server": ("10.1.2.3", 8000),
    }
    sent: list[dict[str, Any]] = []

    async def run() -> None:
        asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> dict[str, Any]:
            for message in asked:
                return message
            return await asyncio.Future()

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await ASGIHandler()(scope, receive, send)

    asyncio.run(run())
    head = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return Response(sent[0]["status"], head, b"".join(message.get("body", b"") for message in sent[1:]))


@pytest.fixture
def project(ready_service: Service) -> Iterator[Service]:
    """A project that serves one host only, over https only."""
    with override_settings(
        ROOT_URLCONF="tests.support.site",
        ALLOWED_HOSTS=["shop.example"],
        SECURE_SSL_REDIRECT=True,
        MIDDLEWARE=SECURITY,
    ):
        yield ready_service


@pytest.fixture(params=[by_wsgi, by_asgi], ids=["wsgi", "asgi"])
def ask(request: pytest.FixtureRequest, project: Service) -> Any:
    return request.param


@pytest.mark.parametrize("path", ["/api/health/ready/", "/api/health/ready", "/nested/deep/ready", "/regex/ready/"])
def test_probes_answer_whatever_the_projects_settings(ask: Any, path: str) -> None:
    """kubelet sends the pod's address as Host, over plain HTTP; nothing is redirected."""
    response = ask("GET", path)
    assert (response.status, json.loads(response.body)["status"]) == (200, "ready")
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-length"] == str(len(response.body))


@pytest.mark.parametrize("path", ["/api/health/checks/", "/regex/checks/"])
@pytest.mark.parametrize(
    ("kind", "target"),
    [("queue", "mail/urgent"), ("queue", "größe"), ("group:database", "col/lide"), ("worker", "celery@" + "x" * 300)],
)
def test_a_check_answers_under_the_name_of_its_target(
    ask: Any, project: Service, ready_store: MemoryStore, path: str, kind: str, target: str
) -> None:
    """As other answers give it: with slashes, letters beyond ASCII, of any length. And under the check's own name."""
    kind, _, whole = kind.partition(":")
    name = child_name(whole, target) if whole else check_name(kind, target)
    asked = f"{path}{kind}:{whole}:{target}" if whole else f"{path}{kind}:{target}"
    assert ask("GET", asked).status == 404
    record(ready_store, name)
    project.refresher.read_once()
    for each in (asked, f"{asked}/", f"{path}{name}"):
        response = ask("GET", each)
        assert (response.status, json.loads(response.body)["name"]) == (200, name)
    assert ask("GET", f"{asked}x").status == 404


@pytest.mark.parametrize(
    "path", ["/api/health/", "/api/health/other/", "/livez", "/api/health-check/", "/x/health/live/"]
)
def test_everything_else_is_the_projects(ask: Any, path: str) -> None:
    """Root paths without opting in, and whatever stands beside the probes, go to Django (which refuses the host)."""
    assert ask("GET", path).status == 400


def test_head_has_no_body(ask: Any) -> None:
    """And the length of what GET has."""
    response = ask("HEAD", "/api/health/live/")
    assert (response.status, response.body) == (200, b"")
    assert int(response.headers["content-length"]) > 0


def test_other_methods_are_refused(ask: Any) -> None:
    """Without the project's CSRF protection having a say."""
    response = ask("POST", "/api/health/ready/")
    assert (response.status, response.headers["allow"]) == (405, "GET, HEAD")


def test_what_is_for_the_authorised(ask: Any) -> None:
    """Refused in front of Django, unless there is a session, which is Django's (that refuses the host)."""
    for path in ("/api/health/workers/", "/api/health/alerts", "/api/health/detailed/?full"):
        response = ask("GET", path)
        assert (response.status, response.headers["www-authenticate"]) == (401, "Bearer")
        assert json.loads(response.body) == {"error": "unauthorized"}
        assert ask("GET", path, cookie="theme=dark").status == 401
        assert ask("GET", path, cookie="theme=dark; sessionid=x").status == 400
    assert ask("GET", "/api/health/ready", cookie="sessionid=x").status == 200


def test_an_unknown_check_is_not_found(ask: Any) -> None:
    """Below our prefix these names are ours."""
    response = ask("GET", "/api/health/checks/nope/")
    assert (response.status, json.loads(response.body)) == (404, {"error": "not_found"})


def test_what_a_request_accepts_is_seen_by_the_next_one_only_if_it_asks(ask: Any) -> None:
    """The kept page of a path is the plain one."""
    for accept, word in (("application/health+json", "pass"), ("*/*", "ready"), ("application/health+json", "pass")):
        assert json.loads(ask("GET", "/api/health/ready", accept=accept).body)["status"] == word


def test_no_request_begins(ask: Any) -> None:
    """`request_started` is what looks after database connections, and would wait for a database that hangs."""
    began: list[object] = []

    def note(**arguments: object) -> None:
        began.append(arguments)

    signals.request_started.connect(note)
    try:
        for path in ("live", "ready", "detailed", "checks/database"):
            assert ask("GET", f"/api/health/{path}").status == 200
        assert began == []
        ask("GET", "/livez")
        assert len(began) == 1
    finally:
        signals.request_started.disconnect(note)


@pytest.mark.parametrize("by", [by_wsgi, by_asgi])
def test_root_paths_by_opting_in(ready_service: Service, by: Any) -> None:
    """`include("monitor.api.root_urls")` is all it takes."""
    with override_settings(ROOT_URLCONF="tests.support.site_at_root", ALLOWED_HOSTS=[]):
        assert by("GET", "/livez").body == b"ok"
        assert by("GET", "/readyz?verbose").body == b"[+]ping ok\n[+]database ok\nreadyz check passed\n"
        assert by("GET", "/readyz/database").body == b"ok"
        assert json.loads(by("GET", "/api/health-check/").body)["status"] == "ready"
        assert by("GET", "/api/health/ready/").status == 400


def test_the_same_handler_answers_again(project: Service) -> None:
    """From its kept page, with headers that a server may change without harm."""
    handler, seen = WSGIHandler(), []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/health/ready/"}
    for _ in range(3):
        body = handler(environ, lambda _status, headers: (seen.append(dict(headers)), headers.clear()))
        assert json.loads(b"".join(body))["status"] == "ready"
    assert seen[0] == seen[2]


def test_a_urlconf_that_cannot_be_imported_is_tried_again(
    ready_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handler is built all the same, and the probes are there once the project is."""
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/health/live/"}
    monkeypatch.setattr(wrapper, "RETRY_SECONDS", 0.0)
    monkeypatch.setitem(sys.modules, "tests.support.site", None)  # ImportError
    with override_settings(ROOT_URLCONF="tests.support.site"):
        handler = WSGIHandler()
        monkeypatch.undo()
        monkeypatch.setattr(wrapper, "RETRY_SECONDS", 0.0)
        monkeypatch.setattr("monitor.api.service._services", [ready_service])
        assert json.loads(b"".join(handler(environ, lambda *_: None)))["status"] == "alive"


def test_installing_again_changes_nothing(django_is_set_up: None) -> None:
    """An app may be set up twice, in tests for one."""
    before = WSGIHandler.__call__, WSGIHandler.__init__, ASGIHandler.__call__, ASGIHandler.__init__
    wrapper.install()
    assert before == (WSGIHandler.__call__, WSGIHandler.__init__, ASGIHandler.__call__, ASGIHandler.__init__)


def test_other_asgi_scopes_are_untouched(project: Service) -> None:
    """Django refuses lifespan itself; servers know what to make of that."""
    with pytest.raises(ValueError, match="lifespan"):
        asyncio.run(ASGIHandler()({"type": "lifespan"}, None, None))


def test_a_script_name_is_not_part_of_the_path(project: Service) -> None:
    """ASGI hands over the whole path; Django takes the root path off, and so do we."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/shop/api/health/live", "root_path": "/shop", "headers": []}
    asyncio.run(ASGIHandler()(scope, None, send))
    assert sent[0]["status"] == 200
