"""The installed package without an extra, with one, and with the lines that the README shows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from matrix import environments
from matrix.environments import Environment
from monitor.cli.commands import COMMANDS, NEEDS, SUGGESTED
from tests.integration.installation.conftest import Installed
from tests.support.processes import free_port, wait_for

README = (environments.ROOT / "README.md").read_text()
ARGUMENTS = {"history": ["database"], "silence": ["x", "--for", "1h", "--why", "y"], "unsilence": ["x"]}
WITHOUT_EXTRA = [name for name in COMMANDS if name != "probe"]
AGENT = """
import sys
from celery import Celery
import monitor
app = Celery("shop", broker="redis://127.0.0.1:1/0")
monitor.install(app)
from monitor.agent import beacon, consumer_step, heartbeat
assert "monitor.tasks.heartbeat" in app.tasks
try:
    monitor.install(Celery("other"), run_checks=True)
except ImportError as error:
    print(error)
try:
    monitor.HealthChecker
except ImportError as error:
    print(error)
"""


def clean_environ() -> dict[str, str]:
    """Return the variables of this process without those that the monitor reads."""
    ours = ("MONITOR_", "KAFKA_", "DJANGO", "DATABASE_URL")
    return {key: value for key, value in os.environ.items() if not key.startswith(ours)}


def run(environment: Environment, directory: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the environment in an empty directory, without the monitor's variables."""
    argv = [environment.command(command[0]), *command[1:]]
    return subprocess.run(
        argv, check=False, capture_output=True, text=True, timeout=60, cwd=directory, env=clean_environ() | variables
    )


@pytest.mark.parametrize("name", WITHOUT_EXTRA)
def test_a_command_names_its_missing_extra(installed: Installed, tmp_path: Path, name: str) -> None:
    """Without the extra it prints one line with the pip command, no traceback, and exits with 2."""
    done = run(installed(), tmp_path, "monitor", name, *ARGUMENTS.get(name, []))
    extra = SUGGESTED.get(name, NEEDS.get(name, "server"))
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.strip().endswith(f"pip install 'celery-health-monitor[{extra}]'")
    assert len(done.stderr.splitlines()) == 1


def test_without_an_extra_the_rest_works(installed: Installed, tmp_path: Path) -> None:
    """Help, version and both probes need nothing."""
    base = installed()
    assert "worker" in run(base, tmp_path, "monitor", "--help").stdout
    assert run(base, tmp_path, "monitor", "--version").returncode == 0
    url = run(base, tmp_path, "monitor", "probe", f"http://127.0.0.1:{free_port()}/")
    assert (url.returncode, url.stdout.partition(":")[0]) == (1, "failed")
    worker = run(base, tmp_path, "monitor", "probe", "worker", CELERY_HEALTH_MONITOR_DIR=str(tmp_path / "none"))
    assert (worker.returncode, worker.stdout.partition(":")[0]) == (1, "failed")
    old = run(base, tmp_path, "python", "-m", "monitor.health_probe")
    assert (old.returncode, old.stderr.count("celery-health-monitor[kafka]")) == (2, 1)


def test_the_agent_loads_without_an_extra(installed: Installed, tmp_path: Path) -> None:
    """`monitor.install(app)` works. What needs more says what to install."""
    done = run(installed(), tmp_path, "python", "-c", AGENT)
    assert done.returncode == 0, done.stderr
    for_checks, for_python = done.stdout.splitlines()
    assert for_checks.endswith("pip install 'celery-health-monitor[server]'")
    assert for_python.endswith("pip install 'celery-health-monitor[web]'")


def test_the_application_of_django_does_without_the_extra(installed: Installed, tmp_path: Path) -> None:
    """A worker with the project's INSTALLED_APPS starts; a system check says why there are no probes."""
    base = installed()
    django = environments.resolve([], ["django"])
    site = tmp_path / "site"
    environments.install_into(site, {name: django[name] for name in ("django", "asgiref", "sqlparse")})
    code = (
        "import django; from django.conf import settings; settings.configure(INSTALLED_APPS=['monitor'])\n"
        "django.setup(); from django.core import checks; print(*[each.msg for each in checks.run_checks()])"
    )
    done = run(base, tmp_path, "python", "-c", code, PYTHONPATH=str(site))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("pip install 'celery-health-monitor[web]'")


@pytest.mark.parametrize(
    ("variables", "command", "extra"),
    [
        ({}, ("up", "--port", "0"), "embedded"),
        ({"DATABASE_URL": "postgresql://u@127.0.0.1:1/d"}, ("worker",), "postgres"),
        ({"DATABASE_URL": "mysql://u@127.0.0.1:1/d"}, ("web", "--port", "0"), "mysql"),
        (
            {"MONITOR_CHANNELS__DBA__KIND": "apprise", "MONITOR_CHANNELS__DBA__URL": "json://h"},
            ("config",),
            "apprise",
        ),
    ],
)  # fmt: skip
def test_the_configuration_names_a_missing_driver(
    installed: Installed, tmp_path: Path, variables: dict[str, str], command: tuple[str, ...], extra: str
) -> None:
    """A driver that is configured and not installed is an error before anything starts."""
    store = {"MONITOR_REDIS_URL": "redis://127.0.0.1:1/0"} if command[0] != "up" else {}
    done = run(installed("server"), tmp_path, "monitor", *command, **variables, **store)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"pip install 'celery-health-monitor[{extra}]'" in done.stderr


def test_every_module_of_an_extra_is_used_by_name(installed: Installed, tmp_path: Path) -> None:
    """With all extras, nothing is missing; with `web`, the API and the dashboard can be imported."""
    code = "from monitor.lib import extras; print(*[name for each in extras.MODULES for name in extras.missing(each)])"
    every = ("embedded", "kafka", "postgres", "mysql", "hiredis", "apprise")
    assert run(installed(*every), tmp_path, "python", "-c", code).stdout == "\n"
    web = (
        "import django; from django.conf import settings\n"
        "settings.configure(INSTALLED_APPS=['monitor'], ROOT_URLCONF='monitor.api.urls', SECRET_KEY='x')\n"
        "django.setup()\n"
        "import monitor.api.urls, monitor.dashboard.urls, monitor.health_checker; print('imported')"
    )
    done = run(installed("web"), tmp_path, "python", "-c", web)
    assert done.stdout == "imported\n", done.stderr


LINES = sorted(set(re.findall(r"pip install '?celery-health-monitor(?:\[([a-z,]+)\])?'?", README)))
RUNS = {
    "": ("monitor", "probe", "worker", "--help"),
    "web": ("python", "-c", "import monitor.api.targets"),
    "server": ("monitor", "check", "database"),
    "server,postgres": ("monitor", "check", "database"),
}
"""Commands that are run after lines of the README, and end by themselves."""
SERVES = {
    "embedded": (("up", "--data-dir", "data"), "/api/health/live/"),
    "kafka": (("sidecar", "--host", "127.0.0.1"), "/health"),
}
"""Commands that are run after lines of the README until they answer a probe, with the path of the probe."""


def test_the_readme_shows_lines() -> None:
    """Each line of the README is run below."""
    assert set(LINES) == {*RUNS, *SERVES}


@pytest.mark.parametrize("extras", RUNS)
def test_a_line_of_the_readme(installed: Installed, tmp_path: Path, extras: str) -> None:
    """Each line that the README shows, in an empty environment, and a command that it makes possible."""
    environment = installed(*filter(None, extras.split(",")))
    done = run(environment, tmp_path, *RUNS[extras], MONITOR_REDIS_URL="redis://127.0.0.1:1/0")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("extra", SERVES)
def test_a_line_of_the_readme_that_serves(installed: Installed, tmp_path: Path, extra: str) -> None:
    """`monitor up` and `monitor sidecar` start in an empty environment, answer a probe, and end without an error."""
    environment, port = installed(extra), free_port()
    command, path = SERVES[extra]
    log = tmp_path / "log"
    environ = clean_environ() | ({"KAFKA_GROUP": "orders", "KAFKA_BROKERS": "127.0.0.1:1"} if extra == "kafka" else {})
    with log.open("wb") as output:
        process = subprocess.Popen(
            [environment.command("monitor"), *command, "--port", str(port)],
            cwd=tmp_path,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://127.0.0.1:{port}{path}"

            def answers() -> bool:
                if process.poll() is not None:
                    pytest.fail(f"ended with {process.returncode}: {log.read_text()}")
                return run(environment, tmp_path, "monitor", "probe", url).returncode == 0

            wait_for(answers, seconds=60, every=0.2, what=f"{url} answers")
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    assert process.returncode == 0, log.read_text()
