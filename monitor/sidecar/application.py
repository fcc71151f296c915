"""WSGI application with all endpoints of the sidecar. All data is in RAM, so no request waits for IO."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from monitor.api import targets
from monitor.api.pages import JSON, METHODS, ProbeResponse
from monitor.api.service import Service
from monitor.lib import logs
from monitor.sidecar import contract, verdict
from monitor.sidecar.metrics import ProbeMetrics
from monitor.sidecar.verdict import SidecarVerdict

API = "/api/health/"
NOT_FOUND = ProbeResponse(404, b'{"error":"not_found"}', JSON)
NOT_ALLOWED = ProbeResponse(405, b'{"error":"method_not_allowed"}', JSON, ("Allow", ", ".join(METHODS)))
BROKEN = ProbeResponse(500, b'{"healthy":false,"message":"Internal error (see the log)"}', JSON)

log = logs.get_logger("monitor.sidecar")


class _Reply(NamedTuple):
    """Response, and its labels in the metrics. If ``endpoint`` is empty, the metrics do not count the response."""

    response: ProbeResponse
    endpoint: str = ""
    healthy: bool = True


class Application:
    """Application with the sidecar's own endpoints and all endpoints of `monitor web`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._metrics = ProbeMetrics(self._read_verdict)
        self._endpoints: Mapping[str, Callable[[str], _Reply]] = {
            "/health": self._health,
            "/ready": self._ready,
            "/status": self._status,
            "/metrics": self._metrics_page,
        }

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        response = self._respond(method, environ)
        start_response(response.line, response.headers.copy())
        return [response.body] if method != "HEAD" else []

    def _respond(self, method: str, environ: Mapping[str, Any]) -> ProbeResponse:
        started = time.perf_counter()
        try:
            reply = self._reply(method, environ)
        except Exception:
            log.exception("sidecar.answer_failed", path=environ.get("PATH_INFO", ""))
            return BROKEN
        if reply.endpoint:
            self._metrics.count_response(reply.endpoint, time.perf_counter() - started, healthy=reply.healthy)
        return reply.response

    def _reply(self, method: str, environ: Mapping[str, Any]) -> _Reply:
        path = targets.path_info(environ)
        endpoint = self._endpoints.get(path.removesuffix("/"))
        if endpoint is not None:
            return endpoint(environ.get("HTTP_ACCEPT", "")) if method in METHODS else _Reply(NOT_ALLOWED)
        target = targets.find(path.removeprefix(API)) if path.startswith(API) else targets.find_at_root(path[1:])
        if target is None:
            return _Reply(NOT_FOUND if method in METHODS else NOT_ALLOWED)
        response = self._service.probes.answer_environ(target, environ)
        counted = response.status in (200, 500, 503)
        return _Reply(response, target.endpoint if counted else "", response.status == 200)

    def _health(self, _: str) -> _Reply:
        return _Reply(_json(200, {"status": "alive", "service": contract.service_name(self._service.roster)}), "health")

    def _ready(self, _: str) -> _Reply:
        current = self._read_verdict()
        if not current.healthy:
            self._metrics.count_failures(current)
        return _Reply(_json(200 if current.healthy else 500, contract.ready_body(current)), "ready", current.healthy)

    def _status(self, _: str) -> _Reply:
        current = self._read_verdict()
        return _Reply(_json(200, contract.status_body(current, self._service.roster)), "status", current.healthy)

    def _metrics_page(self, accept: str) -> _Reply:
        body, content_type = self._metrics.page(accept)
        return _Reply(ProbeResponse(200, body, content_type), "metrics")

    def _read_verdict(self) -> SidecarVerdict:
        self._service.refresher.start()
        return verdict.current_verdict(self._service.roster, self._service.refresher.snapshot())


def _json(status: int, body: Mapping[str, Any]) -> ProbeResponse:
    return ProbeResponse(status, json.dumps(body, separators=(",", ":"), allow_nan=False).encode(), JSON)
