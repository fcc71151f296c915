"""Python interface to the stored check results: the bodies of the endpoints as dicts."""

from __future__ import annotations

import json
import time
from typing import Any

from monitor.api import entries, render
from monitor.api.refresher import CachedSnapshot
from monitor.api.service import Service, service


class HealthChecker:
    """Reader of the stored check results. It runs no check.

    In a web process all methods use the same snapshot as the endpoints. In other processes each call reads the store
    once and waits at most three seconds. Every method returns a dict: the JSON document of an endpoint, or the entry of
    one check in such a document. No method raises an exception if the store does not answer.
    """

    def __init__(self, source: Service | None = None) -> None:
        self._given_source = source

    def check_liveness(self) -> dict[str, Any]:
        """Return ``{"status": "alive", "timestamp": ...}``."""
        return self.get_liveness_response()

    def check_database(self) -> dict[str, Any]:
        """Return ``{"status": ..., "response_time_ms": ...}`` of the check of kind ``database``."""
        return self._check("database")

    def check_redis(self) -> dict[str, Any]:
        """Return ``{"status": ..., "response_time_ms": ...}`` of the check of kind ``redis``."""
        return self._check("redis")

    def check_celery(self) -> dict[str, Any]:
        """Return ``{"status": ..., "response_time_ms": ..., "pending_tasks": ...}`` of the check of kind ``celery``."""
        return self._check("celery")

    def get_cpu_metrics(self) -> dict[str, Any]:
        """Return ``{"status": ..., "percent": ..., "count": ...}`` of the check of kind ``cpu``."""
        return self._check("cpu")

    def get_memory_metrics(self) -> dict[str, Any]:
        """Return ``{"status": ..., "percent": ..., "available_mb": ..., "total_mb": ...}`` of the kind ``memory``."""
        return self._check("memory")

    def get_disk_metrics(self) -> dict[str, Any]:
        """Return ``{"status": ..., "percent": ..., "free_mb": ..., "total_mb": ...}`` of the check of kind ``disk``."""
        return self._check("disk")

    def get_connections_metrics(self) -> dict[str, Any]:
        """Return ``{"status": ..., "active_connections": ...}`` of the check of kind ``connections``."""
        return self._check("connections")

    def get_liveness_response(self) -> dict[str, Any]:
        """Return the body of ``live``."""
        return _document(render.live(time.time()))

    def get_readiness_response(self) -> dict[str, Any]:
        """Return the body of ``ready``; its ``status`` is ``ready`` or ``not_ready``."""
        source = self._source()
        return _document(source.renderer.group(source.roster.ready, _snapshot(source))[1])

    def get_detailed_response(self) -> dict[str, Any]:
        """Return the body of ``detailed``; its ``status`` is ``healthy``, ``degraded`` or ``unhealthy``."""
        source = self._source()
        return _document(source.renderer.detailed(_snapshot(source), full=False))

    def _check(self, kind: str) -> dict[str, Any]:
        """Return the entry of the check with the name ``kind``, or of the first check of that kind.

        Return an entry with the status ``unknown`` if no such check is configured.
        """
        source = self._source()
        named = source.roster.checks.get(kind)
        checks = [named] if named else [check for check in source.roster.checks.values() if check.kind == kind]
        if not checks:
            return {"status": "unknown", "response_time_ms": None, "reason": "not_configured"}
        snapshot = _snapshot(source)
        reading, state = source.roster.read(checks[0], snapshot)
        age = {} if state is None else {"age_ms": entries.age_ms(state, snapshot.now)}
        return entries.fields(reading, state) | age

    def _source(self) -> Service:
        return self._given_source or service()


def _snapshot(source: Service) -> CachedSnapshot:
    refresher = source.refresher
    return refresher.snapshot() if refresher.is_running else refresher.read_once()


def _document(body: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(body)
    return document
