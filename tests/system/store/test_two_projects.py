"""Two projects that were given one Redis database: the second one is told so, and neither runs the other's checks."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitor.agent.identity import Identity, encode
from monitor.agent.protocol import Beacon
from monitor.model.checks import Status
from monitor.store.redis.store import RedisStore
from tests.support.agents import AgentStore
from tests.support.celery_nodes import HostProcess
from tests.support.process_tree import Up
from tests.support.processes import free_port, wait_for
from tests.support.redis_server import RedisServer, StartRedis
from tests.support.roles import FailureText

BIN = Path(sys.executable).parent
PORT_OF_NOBODY = 1

SETTINGS = """
SECRET_KEY = "x"
INSTALLED_APPS = ["monitor"]
CELERY_BROKER_URL = "{broker}"
CELERY_TASK_DEFAULT_QUEUE = "{name}"
ROOT_URLCONF = "{name}.urls"
MONITOR = {{
    "default_checks": False,
    "workers": {{"interval": "1s"}},
    "checks": {{
        "database": {{"kind": "tcp", "host": "127.0.0.1", "port": {port}, "interval": "1s", "groups": ["ready"]}}
    }},
}}
"""
CELERY = """
from celery import Celery
import monitor
app = Celery("{application}")
app.config_from_object("django.conf:settings", namespace="CELERY")
monitor.install(app)
"""


class Project:
    """A Django project in a directory of its own, its roles, and the worker of its Celery application."""

    def __init__(
        self, directory: Path, name: str, broker: str, port: int, *, application: str = "", **env: str
    ) -> None:
        self.name = name
        self.home = directory / name
        package = self.home / name / "settings"
        package.mkdir(parents=True)
        (self.home / name / "__init__.py").touch()
        (self.home / name / "urls.py").write_text("urlpatterns = []\n")
        (self.home / name / "celery.py").write_text(CELERY.format(application=application or name))
        for module in ("__init__", "web", "worker", "beat"):
            (package / f"{module}.py").write_text(SETTINGS.format(broker=broker, name=name, port=port))
        self._env = {"PYTHONUNBUFFERED": "1", **env}
        self.processes: list[HostProcess] = []

    def run(self, *command: str, settings: str = "", **env: str) -> HostProcess:
        """Start `monitor COMMAND` in the project, or any other program of the environment."""
        program, *arguments = command if command[0] == "celery" else ("monitor", *command)
        variables = {"DJANGO_SETTINGS_MODULE": f"{self.name}.settings{settings}", **self._env, **env}
        self.processes.append(HostProcess([str(BIN / program), *arguments], variables, self.home))
        return self.processes[-1]

    def finish(self, *command: str) -> tuple[int, str]:
        """Run a command to its end: its exit code, and what it printed."""
        process = self.run(*command)
        return process.wait(), process.logs()

    def logs(self) -> str:
        """For a failure's message."""
        return "\n".join(f"--- {self.name} {process.status}\n{process.logs()[-4000:]}" for process in self.processes)


Create = Callable[..., Project]


@pytest.fixture
def create(tmp_path: Path) -> Iterator[Create]:
    """Make a project: `create(name, broker, port)`; what it has started ends with the test."""
    projects: list[Project] = []

    def make(*arguments: str | int, **options: str) -> Project:
        projects.append(Project(tmp_path, *arguments, **options))  # type: ignore[arg-type]
        return projects[-1]

    yield make
    for project in projects:
        for process in project.processes:
            process.teardown()


def refused(process: HostProcess) -> bool:
    """Whether a role has logged that the store is another project's."""
    return '"event": "project.refused"' in process.logs()


def test_the_second_project_waits(create: Create, start_redis: StartRedis) -> None:
    """With a check of one name on another database each: one project's results, before and after it is taken over."""
    redis = start_redis()
    shop = create("shop", redis.url, redis.port)
    blog = create("blog", redis.url, PORT_OF_NOBODY)
    store = RedisStore(redis.url)

    def status() -> Status | None:
        state = store.states.read(["database"]).states.get("database")
        return state.result.status if state else None

    def observe(expected: Status, *, runs: int) -> None:
        seen: set[str] = set()

        def enough() -> bool:
            for state in store.states.read(["database"]).states.values():
                assert state.result.status is expected, f"{shop.logs()}\n{blog.logs()}"
                seen.add(state.result.run_id)
            return len(seen) >= runs

        wait_for(enough, seconds=60, what=FailureText(shop, f"{runs} runs"))

    shops = [shop.run("worker"), shop.run("beat")]
    wait_for(lambda: status() is Status.OK, seconds=30, what=FailureText(shop, "the shop's result"))
    blogs = [blog.run("worker"), blog.run("beat")]
    wait_for(lambda: all(map(refused, blogs)), seconds=30, what=FailureText(blog, "the blog is refused"))
    observe(Status.OK, runs=6)
    for process in blogs:
        for part in ("'shop'", "'blog'", "`project`", "`key_prefix`", "`redis_url`"):
            assert part in process.logs()
        assert process.logs().count("project.refused") == 1
    code, text = blog.finish("status")
    assert (code, "'shop'" in text, "`key_prefix`" in text) == (3, True, True), text
    assert json.loads(blog.finish("status", "--json")[1])["project"]["store"] == "shop"
    code, text = shop.finish("status")
    assert (code, "take-over" in text) == (0, False), text

    code, text = blog.finish("store", "take-over")
    assert (code, "'blog'" in text, "'shop'" in text) == (0, True, True), text
    wait_for(lambda: all(map(refused, shops)), seconds=30, what=FailureText(shop, "the shop is refused"))
    wait_for(lambda: status() is Status.ERROR, seconds=30, what=FailureText(blog, "the blog's result"))
    observe(Status.ERROR, runs=3)

    with redis.client() as client:
        client.flushall()
    ownership = RedisStore(redis.url).ownership
    wait_for(lambda: ownership.read() is not None, seconds=30, what=FailureText(blog, "a name in the store"))
    assert ownership.read().name == "blog"  # type: ignore[union-attr]
    observe(Status.ERROR, runs=3)
    assert [process.status for process in (*shops, *blogs)] == ["running"] * 4


def test_roles_with_three_settings_modules(create: Create, start_redis: StartRedis) -> None:
    """None of our roles knows the Celery application, and the project's worker does: all of them are one project."""
    redis = start_redis()
    shop = create("shop", redis.url, redis.port, application="proj")
    store, port = RedisStore(redis.url), free_port()
    shop.run("web", "--port", str(port), settings=".web", MONITOR_TOKEN="x" * 20)
    worker, beat = shop.run("worker", settings=".worker"), shop.run("beat", settings=".beat")
    again = shop.run("worker", MONITOR_CELERY_APP="shop.celery:app")
    shop.run("celery", "-A", "shop.celery", "worker", "-P", "solo", "-n", "w@h", settings=".worker")

    def consuming() -> bool:
        states = store.states.read(["worker:w@h", "database"]).states
        reasons = {name: state.result.data.get("verdict") for name, state in states.items()}
        return reasons.get("worker:w@h") == "consuming" and "database" in reasons

    wait_for(consuming, seconds=40, what=FailureText(shop, "the worker is judged"))
    with redis.client() as client:
        beacon = AgentStore(client).beacon("w@h")
    assert isinstance(beacon, Beacon)
    assert (beacon.project, beacon.application, beacon.settings_module) == ("proj", "proj", "shop")
    assert not any(map(refused, (worker, beat, again)))


def test_a_store_that_answers_later_is_compared_later(create: Create, start_redis: StartRedis) -> None:
    """The worker starts without it, gives up its queues when the store is another's, and takes them up again."""
    broker, store = start_redis(), start_redis("--appendonly", "yes", "--appendfsync", "always")
    with store.client() as client:
        client.set("monitor:project", encode(Identity("shop")))
    store.kill()
    blog = create("blog", broker.url, broker.port, MONITOR_REDIS_URL=store.url)
    worker = blog.run("worker")
    wait_for(lambda: _consumers(broker) == 1, seconds=30, what=FailureText(blog, "the worker consumes"))
    store.start()
    wait_for(lambda: refused(worker), seconds=40, what=FailureText(blog, "the worker is refused"))
    wait_for(lambda: _consumers(broker) == 0, seconds=20, what=FailureText(blog, "the worker consumes nothing"))
    assert blog.finish("store", "take-over")[0] == 0
    wait_for(lambda: _consumers(broker) == 1, seconds=40, what=FailureText(blog, "the worker consumes again"))
    began = time.monotonic()
    worker.kill("SIGTERM")
    assert (worker.exit_code, time.monotonic() - began < 25) == (0, True), worker.logs()


def test_a_role_that_is_refused_ends_by_a_signal(create: Create, start_redis: StartRedis) -> None:
    """While it waits, too."""
    redis = start_redis()
    with redis.client() as client:
        client.set("monitor:project", encode(Identity("shop")))
    blog = create("blog", redis.url, redis.port)
    roles = [blog.run("worker"), blog.run("beat")]
    wait_for(lambda: all(map(refused, roles)), seconds=30, what=FailureText(blog, "the blog is refused"))
    wait_for(lambda: all(map(_handles_sigterm, roles)), seconds=30, what=FailureText(blog, "Celery handles signals"))
    assert _consumers(redis) == 0
    for role in roles:
        role.kill("SIGTERM")
        assert role.exit_code == 0, role.logs()


def _handles_sigterm(role: HostProcess) -> bool:
    """Return whether it has begun to: a role may be refused before."""
    caught = next(line for line in Path(f"/proc/{role.pid}/status").read_text().splitlines() if "SigCgt" in line)
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def _consumers(broker: RedisServer) -> int:
    with broker.client() as client:
        return sum(connection["cmd"] == "brpop" for connection in client.client_list())


def test_two_monitors_without_a_project(tmp_path: Path, start_redis: StartRedis) -> None:
    """`monitor up` twice on one Redis: the second one waits, until the name of the first has expired."""
    redis = start_redis()
    homes = [tmp_path / "a", tmp_path / "b"]
    for home in homes:
        home.mkdir()
    first = Up(homes[0], "--redis-url", redis.url)
    second = None
    try:
        ownership = RedisStore(redis.url).ownership
        wait_for(lambda: ownership.read() is not None, seconds=30, what=first.text())
        name = (homes[0] / "data" / "project").read_text().strip()
        assert ownership.read() == Identity(name, random=True)
        second = Up(homes[1], "--redis-url", redis.url)
        wait_for(lambda: second.text().count('"project.refused"') == 2, seconds=40, what="both roles are refused")
        assert '"project.refused"' not in first.text()
        first.end()
        with redis.client() as client:
            client.pexpire("monitor:project", 1)  # else it takes half a minute
        other = (homes[1] / "data" / "project").read_text().strip()
        wait_for(lambda: ownership.read() == Identity(other, random=True), seconds=60, what=second.text())
    finally:
        first.end()
        if second is not None:
            second.end()
