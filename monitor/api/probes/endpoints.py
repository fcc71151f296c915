"""Responses of the probe endpoints: status code, format and body of a request."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from monitor.api import render
from monitor.api.access import Access
from monitor.api.entries import encode
from monitor.api.pages import JSON, METHODS, Page, ProbeResponse
from monitor.api.probes import health_json, kubernetes
from monitor.api.probes.kubernetes import Line
from monitor.api.refresher import CachedSnapshot, Refresher
from monitor.api.roster import Group, RosterReader
from monitor.api.targets import Target
from monitor.policy.runtime_checks import runtime_spec
from monitor.presentation import states

TEXT = "text/plain; charset=utf-8"
FULL, HEALTH_JSON = "full", "health+json"
EMPTY_ENVIRON: Mapping[str, Any] = {}


class Probes:
    """Responses of all probes, made from the roster and the refresher's snapshot in memory."""

    def __init__(self, roster: RosterReader, refresher: Refresher, renderer: render.Renderer, access: Access) -> None:
        self.access = access
        self._roster = roster
        self._refresher = refresher
        self._renderer = renderer
        self._pages: dict[tuple[Target, str], Page] = {}

    def answer(
        self,
        target: Target,
        *,
        method: str = "GET",
        query: str = "",
        accept: str = "",
        authorization: str = "",
        environ: Mapping[str, Any] = EMPTY_ENVIRON,
        is_staff: bool = False,
    ) -> ProbeResponse:
        """Return the response to a request with these properties. For HEAD, the caller leaves out the body.

        ``environ`` has the CGI variables of the request, if known; they contain the session cookie. The response is 401
        if the target or the parameter ``full`` needs authorisation and the request is not authorised.
        """
        if method not in METHODS:
            return ProbeResponse(405, b'{"error":"method_not_allowed"}', JSON, ("Allow", ", ".join(METHODS)))
        if not self._exists(target):
            return ProbeResponse(404, b'{"error":"not_found"}', JSON)
        variant = ""
        if target.needs_authorisation or target.has_authorised_fields:
            if self.access.allows(authorization, environ, is_staff=is_staff):
                variant = FULL
            elif target.needs_authorisation or (query and FULL in parse_qs(query, keep_blank_values=True)):
                return ProbeResponse(401, b'{"error":"unauthorized"}', JSON, ("WWW-Authenticate", "Bearer"))
        if (
            health_json.MEDIA_TYPE in accept
            and not target.needs_authorisation
            and not (target.is_kubernetes and target.name)
        ):
            variant = HEALTH_JSON
        elif query and target.is_kubernetes:
            return self._kubernetes(target, query)
        # The page of a check that was created at run time is not kept, because it would outlive the check.
        page = self.page(target, variant) if self._is_permanent(target) else None
        return page.current() if page else self._render(target, variant)

    def answer_environ(self, target: Target, environ: Mapping[str, Any], *, is_staff: bool = False) -> ProbeResponse:
        """Return the response to a request with these CGI variables."""
        return self.answer(
            target,
            method=environ["REQUEST_METHOD"],
            query=environ.get("QUERY_STRING", ""),
            accept=environ.get("HTTP_ACCEPT", ""),
            authorization=environ.get("HTTP_AUTHORIZATION", ""),
            environ=environ,
            is_staff=is_staff,
        )

    def page(self, target: Target, variant: str = "") -> Page:
        """Return the cached response of a permanent target.

        ``variant`` is empty for the public body, ``FULL`` for authorised requests, or ``HEALTH_JSON``.
        """
        page = self._pages.get((target, variant))
        if page is None:
            page = self._pages.setdefault((target, variant), Page(lambda: self._render(target, variant)))
        return page

    def public_page(self, target: Target) -> Page | None:
        """Return the cached response to GET requests without query, cookies and authorisation.

        None if the target needs authorisation, or is a check that was created at run time.
        """
        if target.needs_authorisation or not self._is_permanent(target):
            return None
        return self.page(target)

    def _is_permanent(self, target: Target) -> bool:
        return target.endpoint != "checks" or target.name in self._roster.checks

    def _exists(self, target: Target) -> bool:
        if not target.name:
            return True
        if target.is_kubernetes:
            return any(line.name == target.name for line in self._lines(target))
        if target.endpoint == "groups":
            return target.name in self._roster.groups
        return self._roster.find(target.name, self._snapshot()) is not None

    def _render(self, target: Target, variant: str) -> ProbeResponse:
        if variant == HEALTH_JSON:
            return self._health_json(target.as_in_table)
        if target.is_kubernetes:
            return self._kubernetes(target, "")
        return self._json(target, full=variant == FULL)

    def _json(self, target: Target, *, full: bool) -> ProbeResponse:
        if target.endpoint == "live":
            return ProbeResponse(200, render.live(time.time()).encode(), JSON)
        snapshot = self._snapshot()
        if target.endpoint == "alerts":
            return self._alerts()
        passes = True
        match target.endpoint:
            case "detailed":
                body = self._renderer.detailed(snapshot, full=full)
            case "workers":
                body = encode(states.workers_document(snapshot.states, snapshot.now))
            case "startup":
                passes, body = self._renderer.startup(snapshot)
            case "checks":
                check = self._roster.find(target.name, snapshot) or runtime_spec(target.name)
                passes, body = self._renderer.check(check, snapshot, full=full)
            case _:
                passes, body = self._renderer.group(self._group(target, snapshot), snapshot)
        return ProbeResponse(200 if passes else 503, body.encode(), JSON)

    def _alerts(self) -> ProbeResponse:
        overview = self._refresher.alerts.request()
        if overview is None:
            return ProbeResponse(503, b'{"error":"not_read_yet"}', JSON, ("Retry-After", "1"))
        return ProbeResponse(200, encode(states.alerts_document(overview)).encode(), JSON)

    def _health_json(self, target: Target) -> ProbeResponse:
        if target.endpoint in ("live", "startup"):
            passes = all(line.passed for line in self._lines(target))
            body = health_json.status_document(passes)
        else:
            snapshot = self._snapshot()
            passes, body = health_json.group_document(self._roster, self._group(target, snapshot), snapshot)
        return ProbeResponse(200 if passes else 503, body.encode(), health_json.MEDIA_TYPE)

    def _kubernetes(self, target: Target, query: str) -> ProbeResponse:
        lines, parameters = self._lines(target), parse_qs(query, keep_blank_values=True)
        if target.name:
            status, text = kubernetes.check_response(lines, target.name)
        else:
            exclude = parameters.get("exclude", ())
            status, text = kubernetes.endpoint_response(
                target.endpoint, lines, verbose="verbose" in parameters, exclude=exclude
            )
        return ProbeResponse(status, text.encode(), TEXT)

    def _lines(self, target: Target) -> list[Line]:
        if target.as_in_table.endpoint == "live":
            return [Line(kubernetes.PING, True)]
        if target.as_in_table.endpoint == "startup":
            tried = Line("first-read", self._snapshot().tried, "not_tried")
            return [Line(kubernetes.PING, True), tried, *kubernetes.configuration_lines(self._roster)]
        return kubernetes.check_lines(self._roster, self._roster.ready, self._snapshot())

    def _group(self, target: Target, snapshot: CachedSnapshot) -> Group:
        if target.endpoint == "groups":
            return self._roster.groups[target.name]
        if target.endpoint == "checks":
            return self._roster.single(self._roster.find(target.name, snapshot) or runtime_spec(target.name))
        return self._roster.everything(snapshot) if target.endpoint == "detailed" else self._roster.ready

    def _snapshot(self) -> CachedSnapshot:
        self._refresher.start()
        return self._refresher.snapshot()
