"""Our own Django project: what its settings make of the configuration, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SHOW = """
import json, monitor.settings as s
print(json.dumps({"hosts": s.ALLOWED_HOSTS, "database": s.DATABASES["default"], "key": s.SECRET_KEY}))
"""
SERVE = """
from monitor.wsgi import application
environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "%s"}
open("answer", "wb").write(b"".join(application(environ, lambda *_: None)))
"""


def run(script: str, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("MONITOR_", "DJANGO_", "DATABASE"))
    }
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=directory,
        env={**kept, "PYTHONPATH": str(Path(__file__).parents[3]), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_defaults(tmp_path: Path) -> None:
    """Localhost, a key of its own in every process, and a database that leaves no file where it was given no place."""
    first, second = (json.loads(run(SHOW, tmp_path).stdout) for _ in range(2))
    assert first["hosts"] == ["localhost", "127.0.0.1", "[::1]"]
    assert first["database"] == {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    assert first["key"] != second["key"]
    assert list(tmp_path.iterdir()) == []


def test_the_data_directory_holds_the_database(tmp_path: Path) -> None:
    """Where `monitor up` has made one."""
    shown = json.loads(run(SHOW, tmp_path, MONITOR_DATA_DIR=str(tmp_path)).stdout)
    assert shown["database"]["NAME"] == str(tmp_path / "monitor.sqlite3")


def test_database_and_hosts_from_the_environment(tmp_path: Path) -> None:
    """`DATABASE_URL` names the database to watch."""
    environment = {"DATABASE_URL": "postgres://me:p%40ss@db:5433/shop", "MONITOR_ALLOWED_HOSTS": "a.example, b.example"}
    shown = json.loads(run(SHOW, tmp_path, **environment).stdout)
    assert shown["hosts"] == ["a.example", "b.example"]
    database = shown["database"]
    assert (database["ENGINE"], database["PASSWORD"]) == ("django.db.backends.postgresql", "p@ss")
    assert (database["HOST"], database["PORT"], database["NAME"]) == ("db", 5433, "shop")


def test_a_database_of_an_unknown_kind_is_an_error_without_its_password(tmp_path: Path) -> None:
    """Said with the key, and the kinds there are."""
    done = run(SHOW, tmp_path, DATABASE_URL="mongo://me:secret@db/shop")
    assert done.returncode != 0
    assert "database_url" in done.stderr
    assert "postgres" in done.stderr
    assert "secret" not in done.stderr


def test_our_server_is_alive_and_not_ready_with_a_wrong_configuration(tmp_path: Path) -> None:
    """Any WSGI server may run it; the command says what is wrong before it starts one."""
    run(SERVE % "/api/health/ready/", tmp_path, MONITOR_INTERVALL="5")
    assert json.loads((tmp_path / "answer").read_bytes())["reason"] == "configuration"
    run(SERVE % "/api/health/live", tmp_path, MONITOR_INTERVALL="5")
    assert json.loads((tmp_path / "answer").read_bytes())["status"] == "alive"


def test_our_server_serves_our_urls_in_whatever_project(tmp_path: Path) -> None:
    """With the settings of a project that has neither this app nor any URL."""
    (tmp_path / "shop.py").write_text('SECRET_KEY = "x"\nROOT_URLCONF = "shop"\nurlpatterns = []\n')
    environment = {"DJANGO_SETTINGS_MODULE": "shop", "PYTHONPATH": f"{Path(__file__).parents[3]}{os.pathsep}{tmp_path}"}
    run(SERVE % "/livez", tmp_path, **environment)
    assert (tmp_path / "answer").read_bytes() == b"ok"
