"""Stage for the dashboard: the real page and its files from Django, and a scripted API with the same contract.

It provides states that a real monitor cannot reach within seconds: a day of history, an outage at a given moment, a
server that disappears.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import socketserver
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from tests.support.builders.page import World

API = "/api/health/"
SECONDS = {"m": 60, "h": 3600, "d": 86_400}


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    allow_reuse_address = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


class Stage:
    """Server on a port of this machine, which can close the port and open it again."""

    def __init__(self, world: World, page: Callable[..., Iterable[bytes]], port: int = 0) -> None:
        """Prepare the server. ``page`` is the WSGI application of the page."""
        self.world = world
        self.asked: list[str] = []
        self.refuses = False
        self.front_end: str | None = None
        """Status of the HTML page that answers all requests for the API, such as ``200 OK``."""
        self.reaches: dict[str, float | None] | None = None
        self._page = page
        self._server: WSGIServer | None = None
        self.port = port
        self.open()

    @property
    def url(self) -> str:
        """Return the URL of the page."""
        return f"http://localhost:{self.port}/admin/monitoring/"

    def open(self) -> None:
        """Listen on the port."""
        self._server = make_server("127.0.0.1", self.port, self, _Server, _Quiet)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not path.startswith(API):
            return self._page(environ, start_response)
        self.asked.append(path.removeprefix(API) + (f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""))
        if self.front_end is not None:
            start_response(self.front_end, [("Content-Type", "text/html; charset=utf-8")])
            return [b"<!doctype html><div id=root></div>"]
        status, body = self._answer(path.removeprefix(API), parse_qs(environ["QUERY_STRING"]))
        raw = json.dumps(body).encode()
        etag = f'"{hashlib.sha256(raw).hexdigest()[:16]}"'
        headers = [("Content-Type", "application/json"), ("ETag", etag), ("X-Monitor-Now", f"{self.world.now:.3f}")]
        if status == 200 and environ.get("HTTP_IF_NONE_MATCH") == etag:
            start_response("304 Not Modified", headers[1:])
            return []
        raw = gzip.compress(raw, 5)
        headers += [("Content-Encoding", "gzip"), ("Content-Length", str(len(raw))), ("Vary", "Accept-Encoding")]
        start_response(f"{status} {HTTPStatus(status).phrase}", headers)
        return [raw]

    def _answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        parameters = {name: values[-1] for name, values in query.items()}
        if self.refuses:
            return 401, {"error": "unauthorized"}
        if path == "snapshot/":
            return 200, self._snapshot()
        if not self.world.answering:
            return 503, {"error": "store_unavailable"}
        if path == "events/":
            return 200, self._events(parameters)
        if not self.world.has_history and path != "detailed/":
            return 200, self._nothing(path)
        answers = {
            "history/": self._history,
            "history/overview/": self._overview,
            "uptime/": self._uptime,
            "detailed/": self._detailed,
        }
        return answers[path](parameters) if path in answers else (404, {"error": "not_found"})

    def _reaches(self) -> dict[str, float | None]:
        if self.reaches is not None:
            return self.reaches
        now = self.world.now // 300 * 300
        if not self.world.has_history:
            return {"raw": None, "rollups": None}
        return {"raw": now - 86_400, "rollups": now - 80 * 86_400}

    def _snapshot(self) -> dict[str, Any]:
        world, now = self.world, self.world.now
        checks = {check: world.entry(check, now) for check in world.checks}
        return {
            "status": world.overall(now),
            "checks": checks,
            "workers": world.workers,
            "queues": world.queues,
            "hosts": {},
            "groups": world.groups,
            "reaches": self._reaches(),
            "answering": world.answering,
            "version": world.version,
        }

    def _detailed(self, parameters: dict[str, str]) -> tuple[int, Any]:
        world, at = self.world, float(parameters["at"])
        if not world.has_history or at < (self._reaches()["raw"] or 0) or at > world.now:
            hint = "only the last 24 h are kept"
            return 400, {"error": "not_kept", "problems": [{"key": "at", "value": parameters["at"], "hint": hint}]}
        checks = {}
        for check in world.checks:
            status, reason, _ = world.status(check, at)
            checks[check] = {
                "status": status,
                "reason": reason,
                "kind": world.checks[check],
                "critical": check not in world.optional,
                "groups": [],
                "observed_at": at - 3,
                "valid_until": at + 27,
                "absent": ["since", "message", "detail"],
                world.series(check)[0]: world.value(check, at),
            }
        for each in (*world.workers, *world.queues):
            since = {"status": "ok", "reason": "consuming", "latency_ms": 4.2, "absent": ["name", "verdict", "queues"]}
            checks[each["check"]] = {**since, "observed_at": at - 1, "valid_until": at + 29, "critical": False}
        for name in world.groups:
            since = {"status": "ok", "lag": 12, "skew_ratio": 1.0, "kind": "group", "critical": False}
            checks[name] = {**since, "observed_at": at - 1, "valid_until": at + 29, "absent": ["detail"]}
        return 200, {"status": world.overall(at), "at": at, "checks": checks}

    def _events(self, parameters: dict[str, str]) -> dict[str, Any]:
        after, limit = _place(parameters.get("after", "0-0")), int(parameters.get("limit", 100))
        found = [each for each in self.world.events if _place(each["cursor"]) > after]
        page = found[:limit]
        cursor = page[-1]["cursor"] if page else parameters.get("after")
        return {"events": page, "cursor": cursor, "more": len(found) > limit}

    def _times(self, parameters: dict[str, str], points: int) -> tuple[list[float], float]:
        now = self.world.now
        until = float(parameters["until"]) if "until" in parameters else now
        since = parameters["since"]
        since = now - float(since[1:-1]) * SECONDS[since[-1]] if since.startswith("-") else float(since)
        step = max(10.0, math.ceil((until - since) / points / 10) * 10)
        first = since // step * step
        return [first + step * place for place in range(int((until - first) / step) + 1)], step

    def _history(self, parameters: dict[str, str]) -> tuple[int, Any]:
        times, step = self._times(parameters, 700)
        world, check = self.world, parameters["check"]
        reach = self._reaches()["rollups" if times[-1] - times[0] > 90_000 else "raw"] or 0
        known = [at for at in times if at >= reach]
        statuses = [world.status(check, at)[0] if check in world.checks else "ok" for at in known]
        series = {}
        names = ["response_time_ms", "lag", "skew_ratio"] if check in world.groups else [world.series(check)[0]]
        for name in names:
            mean = [world.value(check, at) for at in known]
            unit = {"percent": "%", "response_time_ms": "ms", "skew_ratio": "x"}.get(name, "")
            series[name] = {"unit": unit, "mean": mean, "min": [v * 0.8 for v in mean], "max": [v * 1.3 for v in mean]}
        return 200, {"check": check, "since": times[0], "until": times[-1], "step_seconds": step,
                     "resolution": "5m" if step >= 300 else "raw", "times": known, "status": statuses,
                     "series": series, "reaches": self._reaches()}  # fmt: skip

    def _overview(self, parameters: dict[str, str]) -> tuple[int, Any]:
        world, points = self.world, int(parameters.get("points", 48))
        step = 86_400 / points
        first = (world.now - 86_400) // step * step
        times = [first + step * place for place in range(points)]
        checks = {}
        for check in world.checks:
            name, unit = world.series(check)
            worst = []
            for at in times:
                inside = [e.status for e in world.incidents.get(check, []) if e.since < at + step and e.until > at]
                worst.append("error" if "error" in inside else inside[0] if inside else "ok")
            values = [world.value(check, at) for at in times]
            checks[check] = {"status": worst, "series": name, "unit": unit, "values": values}
        return 200, {"since": first, "step_seconds": step, "checks": checks}

    def _uptime(self, parameters: dict[str, str]) -> tuple[int, Any]:
        world, checks = self.world, {}
        for check in [parameters["check"]] if "check" in parameters else world.checks:
            seed = sum(map(ord, check))
            days = []
            for back in range(89, -1, -1):
                lost = 86_400.0 if back >= 80 else 0.0
                down = 660.0 if (seed + back) % 41 == 0 and not lost else 0.0
                if back == 0:
                    down = world.down_seconds(check, world.now - 86_400)
                warned = 1800.0 if (seed * back) % 29 == 1 and not lost else 0.0
                date = world.now - back * 86_400
                days.append({"date": _date(date), "ok": 86_400 - lost - down - warned, "warning": warned, "error": down,
                             "unknown": 0, "unobserved": lost})  # fmt: skip
            windows = {}
            for name in parameters.get("window", "24h").split(","):
                count = max(1, int(name[:-1]) // 24 if name.endswith("h") else int(name[:-1]))
                part = days[-count:]
                total = {key: sum(day[key] for day in part) for key in part[0] if key != "date"}
                up, incidents = total["ok"] + total["warning"], sum(day["error"] > 0 for day in part)
                windows[name] = {
                    "since": world.now - count * 86_400, "seconds": total, "incidents": incidents,
                    "availability": up / (up + total["error"]) if up else None,
                    "mttr_seconds": total["error"] / incidents if incidents else None,
                    "mtbf_seconds": up / incidents if incidents else None,
                }  # fmt: skip
            checks[check] = {"windows": windows, "days": days}
        return 200, {"checks": checks}

    def _nothing(self, path: str) -> Any:
        reaches = {"raw": None, "rollups": None}
        empty = {"history/": {"times": [], "status": [], "series": {}, "step_seconds": 60, "resolution": "raw"}}
        return {"checks": {}, "reaches": reaches, "step_seconds": 1800, "since": 0} | empty.get(path, {})


def _place(cursor: str) -> tuple[int, ...]:
    return tuple(map(int, cursor.split("-")))


def _date(at: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
