"""A Docker engine of our own, and the stacks of compose/ on it."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.processes import free_port, wait_for

ROOT = Path(__file__).parents[1]
COMPOSE = ROOT / "compose"
EVER = datetime.min.replace(tzinfo=UTC)


@contextmanager
def engine() -> Iterator[str]:
    """The address of the engine in ``DOCKER_HOST``, or of a new one: started here, by root, and removed in the end."""
    if given := os.environ.get("DOCKER_HOST"):
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="soak-docker-", ignore_cleanup_errors=True) as directory:
        place = Path(directory)
        host = f"unix://{place}/docker.sock"
        command = ["dockerd", "--host", host, "--data-root", f"{place}/data", "--exec-root", f"{place}/exec"]
        with (place / "log").open("w") as log:
            daemon = subprocess.Popen([*command, "--pidfile", f"{place}/pid"], stdout=log, stderr=log)
        try:
            wait_for(lambda: _answers(host, daemon), seconds=90, every=0.5, what=f"dockerd, see {place}/log")
            yield host
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(60)


def about(host: str) -> str:
    """When, where and on what, in one line."""
    versions = json.loads(docker(host, "version", "--format", "{{json .}}"))
    compose = subprocess.run(["docker-compose", "version", "--short"], capture_output=True, text=True, check=True)
    machine = f"{os.cpu_count()} processors, {_system()}, kernel {platform.release()}"
    software = f"Docker engine {versions['Server']['Version']}, docker-compose {compose.stdout.strip()}"
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine}, {software}."


def docker(host: str, *arguments: str) -> str:
    """What the command prints. Raises CalledProcessError, having printed what went wrong."""
    return _run(["docker", *arguments], {"DOCKER_HOST": host, "DOCKER_BUILDKIT": "0"})


class Stack:
    """One of compose/*.yml, under a project name and on ports of its own."""

    def __init__(self, host: str, file: str, python_image: str | None, settings: Mapping[str, str]) -> None:
        """Prepare the stack. Without ``python_image`` the images are built from the one that the files name."""
        self.host, self.project = host, f"soak-{file}"
        self.ports = {"a": free_port(), "b": free_port(), "web": free_port()}
        self._started = tempfile.NamedTemporaryFile(prefix="soak-events-")  # noqa: SIM115  (until the stack is left)
        self._events: subprocess.Popen[bytes]
        self._base = ["docker-compose", "--project-name", self.project, "--file", str(COMPOSE / f"{file}.yml")]
        self._env = {
            "DOCKER_HOST": host,
            "DOCKER_SOCKET": host.removeprefix("unix://"),
            "COMPOSE_DOCKER_CLI_BUILD": "0",
            **({"PYTHON_IMAGE": python_image} if python_image else {}),
            "PROBE_A_PORT": str(self.ports["a"]),
            "PROBE_B_PORT": str(self.ports["b"]),
            "WEB_PORT": str(self.ports["web"]),
            "PROMETHEUS_PORT": str(free_port()),
            **settings,
        }

    def __enter__(self) -> Stack:
        self._tidy()
        self.compose("build", "--quiet")
        # Read as they come: the engine remembers 256 events, and two health checks are that many in three minutes.
        filters = ["--filter", f"label=com.docker.compose.project={self.project}", "--filter", "event=start"]
        command = ["docker", "events", *filters, "--format", "{{json .}}"]
        self._events = subprocess.Popen(command, env={**os.environ, **self._env}, stdout=self._started)
        self.compose("up", "--detach")
        wait_for(self._any_start, seconds=30, what="the engine reports that a container was started")
        return self

    def __exit__(self, *_: object) -> None:
        self._events.terminate()
        self._events.wait(30)
        self._tidy()
        self._started.close()

    def compose(self, *arguments: str) -> str:
        """What docker-compose prints."""
        return _run([*self._base, *arguments], self._env)

    def container(self, service: str) -> str:
        """The id of a service's container."""
        return self.compose("ps", "--quiet", service).strip()

    def inspect(self, service: str) -> dict[str, Any]:
        """What Docker knows of a service's container."""
        found: list[dict[str, Any]] = json.loads(docker(self.host, "inspect", self.container(service)))
        return found[0]

    def health(self, service: str) -> str:
        """``starting``, ``healthy`` or ``unhealthy``."""
        return str(self.inspect(service)["State"]["Health"]["Status"])

    def ask(
        self, which: str, path: str = "/ready", headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and body of the probe ``a`` or ``b``, or of ``web``; status 0 while no server answers."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports[which]}{path}", headers=dict(headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except (OSError, ValueError):
            return 0, {}

    def kill(self, service: str) -> None:
        """SIGKILL to all of a container from outside, as the kernel does it when memory is short.

        (After ``docker kill`` Docker takes the container for stopped on purpose, and does not start it again.)
        """
        os.kill(self.inspect(service)["State"]["Pid"], signal.SIGKILL)

    def starts(self, *services: str, since: datetime = EVER) -> list[datetime]:
        """When containers of these services were started after a moment, whoever did it."""
        moments = [
            datetime.fromtimestamp(event["timeNano"] / 1e9, UTC)
            for event in self._start_events()
            if event["Actor"]["Attributes"]["com.docker.compose.service"] in services
        ]
        return [moment for moment in moments if moment > since]

    def _any_start(self) -> bool:
        return bool(self._start_events())

    def _start_events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in Path(self._started.name).read_text().splitlines()]

    def _tidy(self) -> None:
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")


def _run(command: list[str], env: Mapping[str, str]) -> str:
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", flush=True)
    done.check_returncode()
    return done.stdout


def _answers(host: str, daemon: subprocess.Popen[bytes]) -> bool:
    if daemon.poll() is not None:
        raise RuntimeError(f"dockerd ended with {daemon.returncode}: is this root?")
    return subprocess.run(["docker", "--host", host, "info"], capture_output=True, check=False).returncode == 0


def _system() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
