"""Who may ask for the past, where it is mounted, and who has nothing to do with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings

from monitor.api import service as composition
from monitor.api.service import Service, build
from monitor.credentials.signed import SESSION, sign
from monitor.store.memory.store import MemoryStore
from tests.support.builders import NOW
from tests.support.builders.samples import with_a_past
from tests.support.builders.values import check, config
from tests.support.processes import wait_for
from tests.support.wsgi_client import TOKEN, Client
from tests.unit.api.test_staff import ASK, PROJECT, URLS
from tests.unit.standalone.test_settings import run

PATHS = (
    "history/?check=database",
    "history/overview/",
    "uptime/",
    "events/",
    "detailed/?at=-1h",
    "snapshot/",
    "openapi.json",
    "docs",
)


@pytest.fixture
def store() -> MemoryStore:
    return with_a_past()


def serve(store: MemoryStore, monkeypatch: pytest.MonkeyPatch, **settings: str) -> Service:
    """Make it this process' service: over the store, with one check."""
    service = build(config(check("database"), **settings), connect=lambda: store, history_source=lambda: store)
    monkeypatch.setattr(composition, "_services", [service])
    service.refresher.start()
    wait_for(lambda: service.refresher.snapshot().answering, what="the first read")
    return service


@pytest.fixture
def guarded(store: MemoryStore, django_is_set_up: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """With a token."""
    service = serve(store, monkeypatch, token="hushhushhushhush")
    yield service
    service.refresher.stop()


@pytest.fixture
def tokenless(store: MemoryStore, django_is_set_up: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Without a token."""
    service = serve(store, monkeypatch)
    yield service
    service.refresher.stop()


@pytest.mark.parametrize("path", PATHS)
def test_with_a_token_it_is_for_those_who_send_it(guarded: Service, path: str) -> None:
    """Nobody else learns anything, not even whether the question was a good one."""
    from monitor.standalone.wsgi import Handler

    ask = Client(Handler())
    assert ask(path, **TOKEN).status == 200
    for headers in ({}, {"HTTP_AUTHORIZATION": "Bearer no"}, {"HTTP_AUTHORIZATION": "Basic hushhushhushhush"}):
        reply = ask(path, **headers)
        assert (reply.status, reply.json) == (401, {"error": "unauthorized"})
        assert reply.headers["www-authenticate"] == "Bearer"
        assert reply.headers["cache-control"] == "no-store"
    assert ask("history/?sinse=1").status == ask("history/?check=nope").status == 401


@pytest.mark.parametrize("path", PATHS)
def test_without_one_it_is_for_staff_alone(tokenless: Service, path: str) -> None:
    """Wherever a request comes from, and whatever it sends."""
    from monitor.standalone.wsgi import Handler

    ask = Client(Handler())
    for headers in ({}, TOKEN, {"HTTP_AUTHORIZATION": "Bearer "}, {"HTTP_SEC_FETCH_SITE": "same-origin"}):
        assert ask(path, **headers).status == 401


@pytest.mark.parametrize("path", PATHS)
def test_a_session_of_a_link_is_enough(guarded: Service, path: str) -> None:
    """For the server's own page; another site's page has none of it."""
    from monitor.standalone.wsgi import Handler

    session = {"HTTP_COOKIE": f"monitor_session_80={sign('hushhushhushhush', SESSION, 60)}", "SERVER_PORT": "80"}
    ask = Client(Handler())
    assert ask(path, **session, HTTP_SEC_FETCH_SITE="same-origin").status == 200
    for site in ("cross-site", "same-site"):
        assert ask(path, **session, HTTP_SEC_FETCH_SITE=site).status == 401
    assert ask(path, **session).status == 401


@pytest.mark.parametrize(
    ("prefix", "middleware"),
    [("api/health/", ""), ("api/health/", '"monitor.api.middleware.ProbeMiddleware",'), ("<slug:tenant>/", "")],
    ids=["in front of Django", "behind our middleware as well", "as views"],
)
@pytest.mark.parametrize("path", ["snapshot/", "openapi.json", "docs"])
def test_staff_who_are_logged_in(tmp_path: Path, prefix: str, middleware: str, path: str) -> None:
    """By a session of the project; everybody else needs the token, wherever they ask from."""
    (tmp_path / "settings.py").write_text(PROJECT % middleware)
    (tmp_path / "shop.py").write_text(URLS % prefix)
    asked = prefix.replace("<slug:tenant>", "tenant-7")
    done = run(
        ASK.replace("%sworkers/", f"%s{path}").replace("%s", asked),
        tmp_path,
        DJANGO_SETTINGS_MODULE="settings",
        PYTHONPATH=f"{Path(__file__).parents[4]}:{tmp_path}",
    )
    assert done.returncode == 0, done.stderr
    # A thread may log something after it.
    found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith('{"') and '"nobody"' in line))
    assert {name for name, status in found.items() if status == 200} == {
        "staff", "staff, without the slash", "token", "staff, wrong token", "full, staff", "detailed, staff",
    }  # fmt: skip
    assert found["nobody"] == found["customer"] == found["former staff"] == found["staff, without a database"] == 401


PROJECTS = [
    {},
    {"MIDDLEWARE": ["monitor.api.middleware.ProbeMiddleware", "django.middleware.common.CommonMiddleware"]},
]


@pytest.mark.parametrize("middleware", PROJECTS, ids=["", "with our middleware"])
@pytest.mark.parametrize("prefix", ["api/health/", "nested/deep/", "regex/", "tenant-7/health/"])
def test_in_a_project_it_is_wherever_the_probes_are(
    guarded: Service, prefix: str, middleware: dict[str, object]
) -> None:
    """With and without the slash; the probes keep their own paths, and the project its own."""
    with override_settings(ROOT_URLCONF="tests.support.site", ALLOWED_HOSTS=["*"], **middleware):
        ask = Client(WSGIHandler(), f"/{prefix}", **TOKEN)
        for path in PATHS:
            bare, _, query = path.partition("?")
            for spelt in (bare.rstrip("/"), f"{bare.rstrip('/')}/"):
                assert ask(f"{spelt}?{query}").status == 200, spelt
        then = ask(f"detailed/?at={NOW - 1800:.0f}").json
        assert then["timestamp"] == "2025-12-27T11:30:00Z"
        assert "age_ms" not in then["checks"]["database"]
        assert "at" not in ask("detailed/").json
        assert ask("live").json["status"] == "alive"
        assert ask("nothing/").status == 404
        described = ask("openapi.json").json["paths"]
        assert f"/{prefix}history/" in described
        assert f"/{prefix}live/" in described
    with override_settings(ROOT_URLCONF="tests.support.site", ALLOWED_HOSTS=["*"]):
        assert Client(WSGIHandler())("other/").body == b"page"


@pytest.mark.parametrize("path", PATHS)
def test_methods(guarded: Service, path: str) -> None:
    """HEAD is a GET without its body; nothing can be changed here."""
    from monitor.standalone.wsgi import Handler

    ask = Client(Handler(), **TOKEN)
    got, head = ask(path), ask(path, "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    assert int(head.headers["content-length"]) > 0
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        reply = ask(path, method)
        assert reply.status == 405
        assert reply.headers["allow"] == "GET, HEAD"


IMPORTS = {
    "the service": "import monitor.api.service",
    "worker and beat": "import monitor.celery_app",
    "the command line": "from monitor.cli.commands import COMMANDS, cli\nfor it in COMMANDS: cli.get_command(None, it)",
    "a project's workers": (
        "import django\nfrom django.conf import settings\n"
        "settings.configure(INSTALLED_APPS=['monitor'], ROOT_URLCONF='tests.support.site')\ndjango.setup()"
    ),
}


@pytest.mark.parametrize("what", IMPORTS)
def test_who_does_without_django_ninja(what: str, tmp_path: Path) -> None:
    """Only a process that serves pages imports it; and the read side, as such, not even Django."""
    script = f"import sys\n{IMPORTS[what]}\nprint('ninja' in sys.modules, 'django' in sys.modules)"
    done = run(script, tmp_path, MONITOR_REDIS_URL="redis://127.0.0.1:1/0")
    assert done.returncode == 0, done.stderr
    said = done.stdout.split()
    assert said[0] == "False"
    if what == "the service":
        assert said[1] == "False"
