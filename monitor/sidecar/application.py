"""All endpoints of the sidecar as one WSGI callable. Answers from memory: no request waits for anything."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import structlog

from monitor.api import targets
from monitor.api.pages import JSON, METHODS, ProbeResponse
from monitor.api.service import Service
from monitor.sidecar import contract, verdict
from monitor.sidecar.metrics import ProbeMetrics
from monitor.sidecar.verdict import SidecarVerdict

API = "/api/health/"
NOT_FOUND = ProbeResponse(404, b'{"error":"not_found"}', JSON)
NOT_ALLOWED = ProbeResponse(405, b'{"error":"method_not_allowed"}', JSON, ("Allow", ", ".join(METHODS)))
BROKEN = ProbeResponse(500, b'{"healthy":false,"message":"Internal error (see the log)"}', JSON)

log = structlog.get_logger("monitor.sidecar")


class _Given(NamedTuple):
    """An answer, and what the metrics call it."""

    answer: ProbeResponse
    endpoint: str = ""
    healthy: bool = True


class Application:
    """The probe's own endpoints, and below ``/api/health/`` and at the root those that every server of ours has."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._metrics = ProbeMetrics(self._look)
        self._own: Mapping[str, Callable[[str], _Given]] = {
            "/health": self._health,
            "/ready": self._ready,
            "/status": self._status,
            "/metrics": self._expose,
        }

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        answer = self._answer(method, environ)
        start_response(answer.line, answer.headers.copy())
        return [answer.body] if method != "HEAD" else []

    def _answer(self, method: str, environ: Mapping[str, Any]) -> ProbeResponse:
        started = time.perf_counter()
        try:
            given = self._give(method, environ)
        except Exception:
            log.exception("sidecar.answer_failed", path=environ.get("PATH_INFO", ""))
            return BROKEN
        if given.endpoint:
            self._metrics.answered(given.endpoint, time.perf_counter() - started, healthy=given.healthy)
        return given.answer

    def _give(self, method: str, environ: Mapping[str, Any]) -> _Given:
        path = targets.path_info(environ)
        own = self._own.get(path.removesuffix("/"))
        if own is not None:
            return own(environ.get("HTTP_ACCEPT", "")) if method in METHODS else _Given(NOT_ALLOWED)
        target = targets.find(path.removeprefix(API)) if path.startswith(API) else targets.find_at_root(path[1:])
        if target is None:
            return _Given(NOT_FOUND if method in METHODS else NOT_ALLOWED)
        answer = self._service.probes.answer_environ(target, environ)
        counted = answer.status in (200, 500, 503)
        return _Given(answer, target.endpoint if counted else "", answer.status == 200)

    def _health(self, _: str) -> _Given:
        return _Given(_json(200, {"status": "alive", "service": contract.service_name(self._service.roster)}), "health")

    def _ready(self, _: str) -> _Given:
        said = self._look()
        if not said.healthy:
            self._metrics.failed(said)
        return _Given(_json(200 if said.healthy else 500, contract.ready_body(said)), "ready", said.healthy)

    def _status(self, _: str) -> _Given:
        said = self._look()
        return _Given(_json(200, contract.status_body(said, self._service.roster)), "status", said.healthy)

    def _expose(self, accept: str) -> _Given:
        body, content_type = self._metrics.page(accept)
        return _Given(ProbeResponse(200, body, content_type), "metrics")

    def _look(self) -> SidecarVerdict:
        self._service.refresher.start()
        return verdict.current_verdict(self._service.roster, self._service.refresher.snapshot())


def _json(status: int, body: Mapping[str, Any]) -> ProbeResponse:
    return ProbeResponse(status, json.dumps(body, separators=(",", ":"), allow_nan=False).encode(), JSON)
