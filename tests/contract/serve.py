"""Answer requests in this process, over a store whose clock stands still, and print what was answered.

``python -m tests.contract.serve web|sidecar NOW < requests.json`` reads a list of ``[method, path, headers]``, and
prints a list of ``{"status", "headers", "body"}`` with each body as Latin-1 text.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.contract import names
from tests.support.wsgi_client import wsgi_environ

_sleep, _monotonic = time.sleep, time.monotonic


class Clock:
    """The process's clocks. They stand still, apart from steps of a second that let what is cached expire."""

    def __init__(self, now: float) -> None:
        self._now, self._monotonic = now, float(int(_monotonic()))
        time.time, time.monotonic = (lambda: self._now), (lambda: self._monotonic)
        time.perf_counter = lambda: 0.0

    def step(self) -> None:
        """Let what is cached expire, and give the refresher the time to read again."""
        self._monotonic += 2.0
        _sleep(0.2)


def main() -> None:
    """Answer all requests."""
    role, now = sys.argv[1], float(sys.argv[2])
    requests = json.load(sys.stdin)
    clock = Clock(now)
    web, sidecar = names.web(), names.sidecar()
    _wait_until_read(clock, web, now)
    ask = web if role == "web" else sidecar
    answers = json.dumps([_ask(ask, *request) for request in requests])
    sys.stdout.write(f"RESULT\n{answers}")
    sys.stdout.flush()


def _wait_until_read(clock: Clock, application: Callable[..., Any], now: float) -> None:
    """Ask for what is known until it is what lies in the store at this very moment."""
    for _ in range(100):
        clock.step()
        snapshot = _ask(application, "GET", "/api/health/snapshot/", AUTHORIZED)
        alerts = _ask(application, "GET", "/api/health/alerts/", AUTHORIZED)
        if snapshot["status"].startswith("200") and alerts["status"].startswith("200"):
            body, read_at = json.loads(snapshot["body"]), float(dict(snapshot["headers"])["X-Monitor-Now"])
            if abs(read_at - now) < 0.0005 and body["answering"] and body["reaches"]["raw"]:
                return
    sys.exit(f"the store was not read: {alerts} {snapshot}"[:3000])


AUTHORIZED = {"HTTP_AUTHORIZATION": "Bearer token-of-the-contract-0123"}


def _ask(application: Callable[..., Any], method: str, path: str, headers: dict[str, str]) -> dict[str, Any]:
    environ = wsgi_environ(method, path, {"SCRIPT_NAME": "", "wsgi.errors": sys.stderr, **headers})
    answered: list[Any] = []
    body = b"".join(application(environ, lambda status, fields, *_: answered.extend((status, fields))))
    return {"status": answered[0], "headers": sorted(map(list, answered[1])), "body": body.decode("latin-1")}


if __name__ == "__main__":
    main()
