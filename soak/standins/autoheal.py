"""Stands in for willfarrell/autoheal, with its settings: restarts what Docker calls unhealthy. Run in the container."""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from typing import Any
from urllib.parse import quote

SOCKET = os.environ.get("DOCKER_SOCK", "/var/run/docker.sock")
LABEL = os.environ.get("AUTOHEAL_CONTAINER_LABEL", "autoheal")
INTERVAL_SECONDS = float(os.environ.get("AUTOHEAL_INTERVAL", "5"))
START_PERIOD_SECONDS = float(os.environ.get("AUTOHEAL_START_PERIOD", "0"))
STOP_SECONDS = int(os.environ.get("AUTOHEAL_DEFAULT_STOP_TIMEOUT", "10"))


def main() -> None:
    """Look every few seconds, restart what is unhealthy and has the label, for ever."""
    time.sleep(START_PERIOD_SECONDS)
    while True:
        wanted = {"health": ["unhealthy"]} | ({} if LABEL == "all" else {"label": [f"{LABEL}=true"]})
        for container in json.loads(ask("GET", f"/containers/json?filters={quote(json.dumps(wanted))}")):
            name, short = container["Names"][0].lstrip("/"), container["Id"][:12]
            print(f"{time.strftime('%H:%M:%S')} {name} ({short}) found to be unhealthy: restarting", flush=True)
            ask("POST", f"/containers/{container['Id']}/restart?t={STOP_SECONDS}")
        time.sleep(INTERVAL_SECONDS)


def ask(method: str, path: str) -> bytes:
    """The body of Docker's answer; raises OSError when it is an error."""
    connection = DockerConnection("localhost", timeout=STOP_SECONDS + 30)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status >= 400:
        raise OSError(f"{method} {path}: {answer.status} {body[:200]!r}")
    return body


class DockerConnection(http.client.HTTPConnection):
    """HTTP over Docker's unix socket."""

    def connect(self) -> None:
        """As the base class, to the socket."""
        self.sock: Any = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(SOCKET)


if __name__ == "__main__":
    main()
