"""A request that Django refuses: a plain 400, one line in the log, no traceback. And what every answer carries."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monitor.api.pages import CONFINED
from monitor.api.service import Service
from tests.support.processes import wait_for
from tests.support.roles import StartMonitor
from tests.support.wsgi_client import TOKEN, Client
from tests.system.cli.test_web import ask, served
from tests.unit.api.history.test_access import PATHS, guarded, store
from tests.unit.standalone.test_settings import run

__all__ = ["guarded", "store"]

OURS = [f"/api/health/{path}" for path in PATHS] + [
    "/api/health/nothing/",
    "/admin/monitoring/",
    "/api/health/docs/static/1/swagger-ui.css",
]
TOKEN_SENT = {"Authorization": "Bearer hushhushhushhush"}

PROJECT = """
import json, logging, sys
from pathlib import Path
import django
from django.conf import settings
settings.configure(
    SECRET_KEY="x", ROOT_URLCONF="shop", ALLOWED_HOSTS=["shop.example"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
                    "django.contrib.sessions", "django.contrib.messages", "monitor"],
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.contrib.sessions.middleware.SessionMiddleware",
                "django.middleware.common.CommonMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
                "django.contrib.messages.middleware.MessageMiddleware"],
    TEMPLATES=[], LOGGING={"version": 1, "disable_existing_loggers": False,
        "handlers": {"file": {"class": "logging.FileHandler", "filename": "log"}},
        "root": {"handlers": ["file"]}, "loggers": {"django": {"handlers": [], "propagate": True}}},
)
django.setup()
from django.core.handlers.wsgi import WSGIHandler
from tests.support.wsgi_client import Client
client, found = Client(WSGIHandler(), ""), {}
for path in json.loads(sys.argv[1]):
    reply = client(path, HTTP_HOST="evil.example")
    log = Path("log")
    found[path] = [reply.status, log.read_text()]
    log.write_text("")
print(json.dumps(found))
"""
URLS = """
from django.contrib import admin
from django.http import HttpResponse
from django.urls import include, path
urlpatterns = [
    path("api/health/", include("monitor.api.urls")),
    path("<slug:tenant>/health/", include("monitor.api.urls")),
    path("admin/", admin.site.urls),
    path("own/", lambda request: HttpResponse("own")),
]
"""


def test_a_foreign_host_leaves_a_line_in_the_log_of_our_server(start_monitor: StartMonitor) -> None:
    """Whatever the path; so does a query with too many parameters. The answer is a plain 400."""
    monitor = start_monitor(
        '[checks.database]\nkind = "database"\n',
        {"MONITOR_TOKEN": "hushhushhushhush"},
    )
    served(monitor)
    web = monitor.roles[-1]
    for path in [*OURS, "/", "/nothing"]:
        before = len(web.logs().splitlines())
        status, body = ask(monitor, path, Host="evil.example", **TOKEN_SENT)
        assert (status, b"Bad Request" in body) == (400, True), path
        wait_for(lambda before=before: len(web.logs().splitlines()) > before, what="the line is there")
        lines = web.logs().splitlines()[before:]
        assert len([line for line in lines if "evil.example" in line]) == 1, lines
        assert "Traceback" not in "".join(lines)
    query = "&".join(f"a{number}=1" for number in range(1500))
    assert ask(monitor, f"/api/health/events/?{query}", Host=f"localhost:{monitor.port}", **TOKEN_SENT)[0] == 400
    assert "Traceback" not in web.logs()


def test_a_foreign_host_leaves_a_line_in_the_log_of_a_project(tmp_path: Path) -> None:
    """For our paths, wherever they are mounted; what the project's own pages log is the project's."""
    (tmp_path / "shop.py").write_text(URLS)
    paths = [*OURS, "/tenant-7/health/snapshot/", "/own/"]
    found = run(
        PROJECT.replace("sys.argv[1]", repr(json.dumps(paths))),
        tmp_path,
        PYTHONPATH=f"{Path(__file__).parents[3]}:{tmp_path}",
    )
    assert found.returncode == 0, found.stderr
    logs = json.loads(found.stdout.splitlines()[-1])
    assert {status for status, _ in logs.values()} == {400}
    assert "Traceback" in logs.pop("/own/")[1]
    for path, (_, log) in logs.items():
        assert log.count("HTTP_HOST") == 1, path  # a thread may have logged something, too
        assert "Traceback" not in log, path


@pytest.mark.parametrize("path", [*PATHS, "history/?check=nope", "live", "ready", "workers/", "checks/nope", "nothing"])
@pytest.mark.parametrize("headers", [TOKEN, {}], ids=["authorised", "refused"])
def test_every_answer_is_what_it_says_and_for_no_other_site(
    guarded: Service, path: str, headers: dict[str, str]
) -> None:
    """JSON, text, CSV and pages: `nosniff`, and not to be embedded elsewhere."""
    from monitor.standalone.wsgi import Handler

    for method in ("GET", "HEAD", "POST"):
        reply = Client(Handler(), **headers)(path, method)
        assert CONFINED.items() <= {_title(name): value for name, value in reply.headers.items()}.items(), method


@pytest.mark.parametrize("path", ["/livez", "/readyz?verbose", "/api/health-check/"])
def test_probes_at_the_root_too(guarded: Service, path: str) -> None:
    """Texts of the Kubernetes convention among them."""
    from monitor.standalone.wsgi import Handler

    reply = Client(Handler(), "")(path)
    assert CONFINED.items() <= {_title(name): value for name, value in reply.headers.items()}.items()


def _title(name: str) -> str:
    return name.title()
