"""What the code of today answers, stores and offers, as text by the name of its golden file."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.contract import stores
from tests.contract.clock import ClockProxy
from tests.support.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden"
STORE = GOLDEN / "store-0.1.0.json.gz"
TOKEN = "token-of-the-contract-0123"
AUTHORIZED = {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}"}
METRICS = {"HTTP_ACCEPT": "application/openmetrics-text; version=1.0.0, text/plain;q=0.5"}
HEALTH_JSON = {"HTTP_ACCEPT": "application/health+json"}
HOUR = 2_000_000_000 - 2_000_000_000 % 3600

Request = list[Any]


def web_requests() -> list[Request]:
    """Return the requests to our own server: every endpoint, in every response format, refusals included."""
    probes = ["live", "ready", "detailed", "startup", "groups/ready", "checks/database", "checks/redis", "checks/kafka"]
    probes += ["checks/worker:web-1@shop", "checks/queue:celery", "checks/group:kafka:billing", "checks/monitor:beat"]
    paths = [f"/api/health/{probe}/" for probe in [*probes, "checks/nope", "groups/nope", "nope"]]
    root = [
        "/livez",
        "/readyz",
        "/startupz",
        "/healthz",
        "/metrics",
        "/api/health-check/",
        "/readyz/database",
        "/readyz/nope",
    ]
    root += ["/readyz?verbose", "/readyz?verbose&exclude=database&exclude=nope", "/livez?verbose"]
    past = ["snapshot/", "workers/", "alerts/", "events/", "events/?limit=5", "events/?check=orders&format=csv"]
    past += ["history/?check=orders&since=-2h&step=5m", "history/?check=orders&since=-90s&step=1s&series=open"]
    past += ["history/?check=kafka&since=-2h&format=csv", "history/overview/?window=24h&points=48", "uptime/"]
    past += ["uptime/?check=orders&window=1h,24h&days=3", "uptime/?check=depot&format=csv", f"detailed/?at={HOUR}"]
    past += [
        "history/?check=nope",
        "history/?sinse=1&step=x",
        "detailed/?at=-9d",
        "detailed/?full",
        "events/?after=0-0&limit=3",
    ]
    return [
        *(["GET", path, {}] for path in [*paths, *root]),
        *(["GET", path, HEALTH_JSON] for path in [*paths[:8], "/api/health-check/"]),
        *(["GET", path, METRICS] for path in ("/api/health/detailed/", "/metrics")),
        ["GET", "/api/health/detailed/", {"HTTP_ACCEPT": "text/plain"}],
        *(["GET", path, AUTHORIZED] for path in paths),
        *(["GET", f"/api/health/{path}", AUTHORIZED] for path in past),
        *(["GET", f"/api/health/{path}", {}] for path in past[:3]),
        *(["HEAD", path, {}] for path in ("/api/health/live", "/api/health/detailed", "/readyz", "/metrics")),
        *(["POST", path, {}] for path in ("/api/health/live/", "/readyz", "/api/health-check/")),
        ["GET", "/", {}],
    ]


def sidecar_requests() -> list[Request]:
    """Return the requests to the sidecar's server."""
    paths = ["/health", "/ready", "/status", "/health/", "/livez", "/readyz?verbose", "/api/health/live/", "/nope"]
    return [
        *(["GET", path, {}] for path in paths),
        ["HEAD", "/ready", {}],
        ["POST", "/ready", {}],
        ["GET", "/metrics", {}],
        ["GET", "/metrics", METRICS],
    ]


def answers(server: RedisServer, role: str) -> str:
    """Return what a role answers over the recorded store, at the moment of its recording."""
    recorded = stores.read(STORE)
    requests = web_requests() if role == "web" else sidecar_requests()
    with _filled(server, recorded["store"]) as clock, _environment(recorded["configuration"]) as environment:
        clock.set(recorded["now"])
        environment["MONITOR_REDIS_URL"] = clock.url
        replies = json.loads(
            _run(["tests.contract.serve", role, repr(recorded["now"])], environment, json.dumps(requests))
        )
    return "".join(f"{_head(request)}\n{_reply(reply)}\n" for request, reply in zip(requests, replies, strict=True))


def openapi(server: RedisServer) -> str:
    """Return the description of the API, without its prose."""
    recorded = stores.read(STORE)
    with _filled(server, recorded["store"]) as clock, _environment(recorded["configuration"]) as environment:
        clock.set(recorded["now"])
        environment["MONITOR_REDIS_URL"] = clock.url
        request = [["GET", "/api/health/openapi.json", AUTHORIZED]]
        reply = json.loads(
            _run(["tests.contract.serve", "web", repr(recorded["now"])], environment, json.dumps(request))
        )[0]
    return _json(_without_prose(json.loads(reply["body"])))


def stored(server: RedisServer, *files: Path) -> str:
    """Return what the tasks leave in the store: in an empty one, or in one that an earlier commit has written."""
    now = stores.read(files[0])["now"] if files else 2_000_000_000.0
    with server.client() as client:
        client.flushall()
    with _environment((Path(__file__).parent / "scenario.toml").read_text()) as environment:
        result = Path(environment["CONTRACT_FILE"]).with_name("result")
        arguments = [str(server.port), repr(now + 1.0 if files else now), str(result), *map(str, files)]
        _run(["tests.contract.scenario", *arguments], {**environment, "CONTRACT_FROZEN": "1"})
        return result.read_text()


def surface() -> str:
    """Return the names that users may have written down: commands, settings, tasks, queues, ... as JSON."""
    with _environment("") as environment:
        environment["MONITOR_REDIS_URL"] = "redis://127.0.0.1:1/0"
        return _run(["tests.contract.surface"], environment)


MADE: dict[str, Callable[[RedisServer], str]] = {
    "web.txt": lambda server: answers(server, "web"),
    "sidecar.txt": lambda server: answers(server, "sidecar"),
    "openapi.json": openapi,
    "stored-from-nothing.json": stored,
    "stored-from-0.1.0.json": lambda server: stored(server, STORE),
    "surface.json": lambda server: surface(),
}
"""How each golden file is made. ``server`` is a private server: it is emptied."""


@contextmanager
def _filled(server: RedisServer, store: stores.Dump) -> Iterator[ClockProxy]:
    with server.client() as client:
        client.flushall()
        stores.load(client, store)
    clock = ClockProxy(server.port, 0.0)
    yield clock
    clock.close()


@contextmanager
def _environment(toml: str) -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="contract-") as directory:
        file = Path(directory) / "monitor.toml"
        header = "" if toml.startswith("default_checks") else "default_checks = false\n"
        file.write_text((header if toml else "") + toml.replace("{kafka}", "127.0.0.1:9092"))
        ours = {
            name: value
            for name, value in os.environ.items()
            if not re.match("MONITOR_|KAFKA_|DJANGO_|DATABASE_URL", name)
        }
        yield {
            **ours,
            "MONITOR_CONFIG": str(file),
            "MONITOR_TOKEN": TOKEN,
            "MONITOR_DATA_DIR": directory,
            "MONITOR_LOG_FORMAT": "json",
            "MONITOR_REFRESH_INTERVAL": "50ms",
            "CONTRACT_FILE": f"{directory}/orders",
        }


def _run(arguments: list[str], environment: dict[str, str], given: str = "") -> str:
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(
        command, input=given, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout.rpartition("RESULT\n")[2]


def _head(request: Request) -> str:
    method, path, headers = request
    return " ".join([f"=== {method} {path}", *(f"{name}: {value}" for name, value in headers.items())])


def _reply(reply: dict[str, Any]) -> str:
    """Return an answer as text. Prose may change: hints about wrong parameters, the help of metrics."""
    body = _PROSE.sub(lambda found: f"{found[1] or found[2]}...", reply["body"])
    depends = {"Content-Length", "ETag"} if body != reply["body"] else set()
    head = "".join(f"{name}: {value}\n" for name, value in reply["headers"] if name not in depends)
    return f"{reply['status']}\n{head}\n{body}\n"


_PROSE = re.compile(r'("hint":")[^"]*|^(# HELP \S+ ).*$', re.MULTILINE)


def _without_prose(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _without_prose(each)
            for name, each in value.items()
            if not (name in ("description", "summary") and isinstance(each, str))
        }
    return [*map(_without_prose, value)] if isinstance(value, list) else value


def _json(value: Any) -> str:
    return json.dumps(value, indent=1) + "\n"
