"""Staff who are logged in to a Django project, with its real sessions and users, in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.standalone.test_settings import run

PROJECT = """
SECRET_KEY = "x"
ROOT_URLCONF = "shop"
ALLOWED_HOSTS = ["shop.example"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.sqlite3"}}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "monitor"]
MIDDLEWARE = [
    %s
    "django.middleware.common.CommonMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
MONITOR = {"redis_url": "redis://127.0.0.1:1/0", "token": "hushhushhushhush"}
"""
URLS = """
from django.urls import include, path
urlpatterns = [path("%s", include("monitor.api.urls"))]
"""
ASK = """
import io, json, django
django.setup()
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.db import connection
from django.test import RequestFactory
from django.contrib.auth import login

call_command("migrate", verbosity=0)

def session(name, **fields):
    user, _ = User.objects.get_or_create(username=name, defaults=fields)
    request = RequestFactory().get("/")
    request.session = SessionStore()
    login(request, user)
    request.session.save()
    return "sessionid=" + request.session.session_key

handler = WSGIHandler()

def ask(path, cookie="", host="shop.example", **more):
    said = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "HTTP_HOST": host, "SERVER_NAME": "x", "SERVER_PORT": "80",
               "REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(), **more}
    if cookie:
        environ["HTTP_COOKIE"] = "theme=dark; " + cookie
    handler(environ, lambda status, headers: said.append(int(status.split()[0])))
    return said[0]

staff, customer = session("ada", is_staff=True), session("bob")
away = session("eve", is_staff=True, is_active=False)
path = "/%sworkers/"
found = {
    "nobody": ask(path),
    "nobody, from this machine": ask(path, host="localhost"),
    "staff": ask(path, staff),
    "staff, without the slash": ask(path.rstrip("/"), staff),
    "staff, by another host's name": ask(path, staff, host="evil.example"),
    "customer": ask(path, customer),
    "former staff": ask(path, away),
    "no such session": ask(path, "sessionid=nonsense"),
    "token": ask(path, HTTP_AUTHORIZATION="Bearer hushhushhushhush"),
    "staff, wrong token": ask(path, staff, HTTP_AUTHORIZATION="Bearer no"),
    "full, staff": ask("/%sdetailed/", staff, QUERY_STRING="full"),
    "full, nobody": ask("/%sdetailed/", QUERY_STRING="full"),
    "detailed, staff": ask("/%sdetailed/", staff),
}
connection.close()
import os
os.rename("shop.sqlite3", "moved"); os.mkdir("shop.sqlite3")
found["staff, without a database"] = ask(path, staff)
print(json.dumps(found))
"""


@pytest.mark.parametrize(
    ("prefix", "middleware"),
    [("api/health/", ""), ("api/health/", '"monitor.api.middleware.ProbeMiddleware",'), ("<slug:tenant>/", "")],
    ids=["in front of Django", "behind our middleware as well", "as views"],
)
def test_staff_who_are_logged_in_are_authorised(tmp_path: Path, prefix: str, middleware: str) -> None:
    """By a session of the project; everybody else needs the token, wherever they ask from."""
    (tmp_path / "settings.py").write_text(PROJECT % middleware)
    (tmp_path / "shop.py").write_text(URLS % prefix)
    asked = prefix.replace("<slug:tenant>", "tenant-7")
    path = f"{Path(__file__).parents[3]}:{tmp_path}"
    done = run(ASK.replace("%s", asked), tmp_path, DJANGO_SETTINGS_MODULE="settings", PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    # A thread may log something after it.
    found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith('{"') and '"nobody"' in line))
    as_views = prefix.startswith("<")
    assert found == {
        "nobody": 401,
        "nobody, from this machine": 400 if as_views else 401,
        "staff": 200,
        "staff, without the slash": 200,
        "staff, by another host's name": 400,
        "customer": 401,
        "former staff": 401,
        "no such session": 401,
        "token": 200,
        "staff, wrong token": 200,
        "full, staff": 200,
        "full, nobody": 401,
        "detailed, staff": 200,
        "staff, without a database": 401,
    }
