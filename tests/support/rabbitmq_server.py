"""Real RabbitMQ server of the session, with its own node name, directory and ports. It starts in six seconds.

Tests change users, permissions and queues through its management plugin: a request takes milliseconds. A run of
`rabbitmqctl` starts an Erlang machine, which takes a minute on a machine under load.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import amqp
import pytest

from tests.support.processes import free_port, missing, wait_for

PLACES = ("/usr/lib/rabbitmq/bin", "/usr/sbin")  # the first is the program, Debian's other one a wrapper around it


class RabbitServer:
    """Node with the user `guest`. Root starts it as the user `rabbitmq`."""

    def __init__(self) -> None:
        binary = shutil.which("rabbitmq-server", path=os.pathsep.join([*PLACES, os.environ.get("PATH", "")]))
        self._binary = binary or missing("rabbitmq-server")
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="rabbitmq-test-", dir="/tmp"))
        self._names = free_port()
        self._management = free_port()
        self._env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.directory),
            "ERL_EPMD_PORT": str(self._names),  # a name server of our own, too
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"test-{uuid.uuid4().hex[:8]}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self.directory),
            "RABBITMQ_LOG_BASE": str(self.directory),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "plugins"),
            "RABBITMQ_PID_FILE": str(self.directory / "pid"),
            "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq.conf"),
        }
        (self.directory / "plugins").write_text("[rabbitmq_management].\n")
        (self.directory / "rabbitmq.conf").write_text(
            f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {self._management}\n"
        )
        self._become: list[str] = []
        with contextlib.suppress(KeyError):
            if os.geteuid() == 0:
                user = pwd.getpwnam("rabbitmq")
                os.chown(self.directory, user.pw_uid, user.pw_gid)
                self._become = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        self._process: subprocess.Popen[bytes]
        self.start()

    @property
    def url(self) -> str:
        """Return its address in Celery's form."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def add_user(self, name: str, password: str) -> None:
        """Create a user without permissions, or change its password."""
        self._manage("PUT", "users", name, body={"password": password, "tags": ""})

    def delete_user(self, name: str) -> None:
        """Delete a user and its permissions."""
        self._manage("DELETE", "users", name)

    def permit(self, user: str, *, configure: str = ".*", write: str = ".*", read: str = ".*") -> None:
        """Set a user's permissions, as regular expressions of the names of resources."""
        self._manage("PUT", "permissions", "/", user, body={"configure": configure, "write": write, "read": read})

    def add_virtual_host(self, name: str) -> None:
        """Create a virtual host, in which `guest` may do everything."""
        self._manage("PUT", "vhosts", name)
        self._manage("PUT", "permissions", name, "guest", body={"configure": ".*", "write": ".*", "read": ".*"})

    def objects(self, virtual_host: str) -> dict[str, list[tuple[str, ...]]]:
        """Return the names of all queues and exchanges of a virtual host, and both ends of its bindings."""
        names = {"queues": ("name",), "exchanges": ("name",), "bindings": ("source", "destination")}
        return {
            kind: sorted(tuple(item[key] for key in keys) for item in self._manage("GET", kind, virtual_host))
            for kind, keys in names.items()
        }

    def limit(self, user: str, limits: Mapping[str, int]) -> None:
        """Set limits of a user, such as ``max-channels``."""
        for name, value in limits.items():
            self._manage("PUT", "user-limits", user, name, body={"value": value})

    def queues(self) -> list[str]:
        """Return the names of all queues."""
        return [queue["name"] for queue in self._manage("GET", "queues", "/")]

    def delete_queue(self, name: str) -> None:
        """Delete a queue with its messages, consumed or not."""
        self._manage("DELETE", "queues", "/", name)

    def purge_queue(self, name: str) -> None:
        """Delete the messages that wait in a queue."""
        self._manage("DELETE", "queues", "/", name, "contents")

    def close_connections(self, user: str | None = None) -> None:
        """End the connections of all clients, or of one user. The plugin learns of a connection up to 5 s late."""
        if user is None:
            self._control("close_all_connections", "--vhost", "/", "test")
        else:
            self._control("close_all_user_connections", user, "test")

    def set_memory_limit(self, share: float) -> None:
        """Set the share of the machine's memory above which publishers are blocked. The plugin cannot do this."""
        self._control("set_vm_memory_high_watermark", f"{share:.5f}")

    def _control(self, *arguments: str) -> None:
        """Run `rabbitmqctl`."""
        tool = shutil.which("rabbitmqctl", path=os.pathsep.join([*PLACES, os.environ.get("PATH", "")]))
        command = [*self._become, tool or missing("rabbitmqctl"), *arguments]
        done = subprocess.run(command, env=self._env, cwd=self.directory, capture_output=True, check=False, timeout=200)
        assert done.returncode == 0, done.stderr.decode()

    def _manage(self, method: str, *path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return the response of the management plugin. What is deleted already is no error."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._management}/api/{'/'.join(quote(part, safe='') for part in path)}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Basic {base64.b64encode(b'guest:guest').decode()}",
                "Content-Type": "application/json",
                "X-Reason": "test",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                content = response.read()
        except urllib.error.HTTPError as error:
            assert method == "DELETE" and error.code == 404, (method, path, error.read())
            return None
        return json.loads(content) if content else None

    def connect(self) -> amqp.Connection:
        """Return a connection for inspection."""
        connection = amqp.Connection(f"127.0.0.1:{self.port}", connect_timeout=5, read_timeout=5)
        connection.connect()
        return connection

    def start(self) -> None:
        """Start it (again) on the same port, and wait until it answers."""
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._become, self._binary],
                env=self._env,
                cwd=self.directory,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_for(self._answers, seconds=60, every=0.2, what=f"RabbitMQ answers, see {self.directory}/log")

    def kill(self) -> None:
        """Send SIGKILL. Durable data exists after the next start."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """Stop it and its name server, and remove its directory."""
        self.kill()
        if epmd := shutil.which("epmd"):
            # It refuses while it considers the node alive.
            wait_for(lambda: not self._refuses_to_end(epmd), seconds=20, every=0.1, what="the name server ends")
        shutil.rmtree(self.directory, ignore_errors=True)

    def _refuses_to_end(self, epmd: str) -> bool:
        done = subprocess.run([epmd, "-kill"], env=self._env, capture_output=True, check=False, timeout=10)
        return b"not allowed" in done.stdout + done.stderr

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            pytest.fail(f"RabbitMQ ended at once, see {self.directory}/log")
        try:
            self.connect().close()
        except (OSError, amqp.AMQPError):
            return False
        return True


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitServer]:
    """Provide the session's server, started at its first use."""
    server = RabbitServer()
    yield server
    server.stop()
