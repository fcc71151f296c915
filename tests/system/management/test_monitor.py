"""``manage.py monitor`` in a user's project, started from another directory than that of ``manage.py``."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from monitor.cli.commands import COMMANDS
from monitor.cli.tables import ExitCode
from monitor.store.redis.store import RedisStore
from tests.support.process_tree import environment
from tests.support.processes import free_port, wait_for
from tests.support.redis_server import RedisServer

MANAGE = """
import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings.production")
from django.core.management import execute_from_command_line

execute_from_command_line(sys.argv)
"""
SETTINGS = """
import os

SECRET_KEY = "x"
INSTALLED_APPS = ["shop", "monitor"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["SHOP_DATABASE"]}}
MONITOR = {"redis_url": os.environ["SHOP_REDIS_URL"], "key_prefix": "production:", "worker_slots": 4}
"""
STAGING = """
from shop.settings.production import *

MONITOR = MONITOR | {"key_prefix": "staging:"}
"""
APPS = """
import os

from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self):
        with open(os.environ["SHOP_STARTS"], "a") as file:
            file.write(f"{os.getpid()}\\n")
"""


class Project:
    """Project of a user, in which ``manage.py`` is in a directory below the working directory."""

    def __init__(self, directory: Path, redis: RedisServer) -> None:
        self.directory = directory
        self.starts = directory / "starts"
        (directory / "shop.sqlite3").touch()
        for name, text in {
            "manage.py": MANAGE,
            "shop/__init__.py": "",
            "shop/apps.py": APPS,
            "shop/settings/__init__.py": "",
            "shop/settings/production.py": SETTINGS,
            "elsewhere/shop_local.py": STAGING,
            "shop/settings/staging.py": STAGING,
        }.items():
            file = directory / "backend" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.environment = environment(
            SHOP_REDIS_URL=redis.url,
            SHOP_DATABASE=str(directory / "shop.sqlite3"),
            SHOP_STARTS=str(self.starts),
            COLUMNS="200",
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start ``manage.py`` with these arguments."""
        return subprocess.Popen(
            [sys.executable, "backend/manage.py", *arguments],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``manage.py`` with these arguments until it ends."""
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


@pytest.fixture
def project(tmp_path: Path, redis_server: RedisServer) -> Project:
    """The project, and a store whose keys no other test has."""
    with redis_server.client() as client:
        client.flushall()
    return Project(tmp_path, redis_server)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there(name: str, project: Project) -> None:
    """With its own help. It starts nothing."""
    done = project.manage("monitor", name, "--help")
    assert done.returncode == 0, done.stderr
    assert f"monitor {name}" in done.stdout


def test_help_names_the_commands(project: Project) -> None:
    """In the three ways in which Django's help is read."""
    for arguments in (["monitor", "--help"], ["help", "monitor"], ["monitor"]):
        done = project.manage(*arguments)
        text = done.stdout + done.stderr
        assert all(f"  {name} " in text for name in COMMANDS), text
        assert "manage.py monitor" in text
    assert project.manage("monitor", "statsu").stderr.rstrip().endswith("status")


@pytest.mark.parametrize(
    ("options", "prefix", "origin"),
    [
        ([], "production:", "settings.MONITOR"),
        (["--settings", "shop.settings.staging"], "staging:", "settings.MONITOR"),
        (["--settings=shop_local", "--pythonpath", "backend/elsewhere"], "staging:", "settings.MONITOR"),
    ],
)
@pytest.mark.parametrize("place", ["before", "behind"])
def test_the_settings_are_those_of_manage(
    options: list[str], prefix: str, origin: str, place: str, project: Project
) -> None:
    """``--settings`` and ``--pythonpath`` may stand before or behind the command."""
    words = ["config", *options] if place == "behind" else [*options, "config"]
    done = project.manage("monitor", *words)
    assert done.returncode == 0, done.stderr
    row = next(line.split() for line in done.stdout.splitlines() if line.startswith("key_prefix"))
    assert row == ["key_prefix", prefix, origin]


def test_a_check_runs_in_the_project(project: Project) -> None:
    """The check process finds the settings, from any working directory. The command's process sets Django up once."""
    for options in ([], ["--settings=shop_local", "--pythonpath", "backend/elsewhere"]):
        done = project.manage("monitor", "check", "database", *options)
        assert done.returncode == ExitCode.OK, done.stdout + done.stderr
    starts = Counter(project.starts.read_text().split())
    assert len(starts) == 4, "two commands, each with one fork server"
    assert set(starts.values()) == {1}


def test_exit_codes_are_the_same(project: Project) -> None:
    """0, 1, 2 and 3, of a command, of a probe and of an invalid configuration."""
    assert project.manage("monitor", "status").returncode == ExitCode.UNKNOWN
    assert project.manage("monitor", "check", "nope").returncode == ExitCode.UNKNOWN
    assert project.manage("monitor", "unsilence", "nope").returncode == ExitCode.WARNING
    assert project.manage("monitor", "silence", "a").returncode == 2
    url = f"http://127.0.0.1:{free_port()}/"
    probe = project.manage("monitor", "probe", url, "--timeout", "1")
    assert (probe.returncode, probe.stdout.startswith("failed: ")) == (1, True)
    assert project.manage("monitor", "probe", "worker", "--nonsense").returncode == 2
    project.environment["MONITOR_WORKER_SLOTS"] = "many"
    wrong = project.manage("monitor", "beat")
    assert wrong.returncode == 2
    assert "worker_slots = 'many' (environment MONITOR_WORKER_SLOTS)" in wrong.stderr


def test_roles_run_from_manage(project: Project, redis_server: RedisServer) -> None:
    """Worker and beat bring the project's own check to ok, and end with 0 at SIGTERM."""
    store = RedisStore(redis_server.url, prefix="production:")
    roles = [project.start("monitor", role) for role in ("worker", "beat")]
    try:
        wait_for(lambda: "database" in store.states.read().states, seconds=60, what="a result of the database")
        document = json.loads(project.manage("monitor", "status", "--json").stdout)
        assert document["checks"]["database"]["status"] == "ok", document
        for role in roles:
            role.send_signal(signal.SIGTERM)
            assert role.wait(30) == 0, role.communicate()
    finally:
        for role in roles:
            role.kill()
            role.communicate()


CALL = """
import django

django.setup()
from django.core.management import CommandError, call_command

call_command("monitor", "check", "database")
try:
    call_command("monitor", "status")
except CommandError as error:
    print("code", error.returncode, error)
"""


def test_call_command(project: Project) -> None:
    """A code other than 0 is a CommandError, and 0 returns."""
    done = subprocess.run(
        [sys.executable, "-c", CALL],
        cwd=project.directory / "backend",
        env={**project.environment, "DJANGO_SETTINGS_MODULE": "shop.settings.production"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "code 3 `monitor status` ended with the exit code 3" in done.stdout
