"""What each probe answers: which status code, which body, in which dialect."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from monitor.api import render
from monitor.api.access import Access
from monitor.api.pages import Answer, Page
from monitor.api.probes import health_json, kubernetes
from monitor.api.probes.kubernetes import Line
from monitor.api.refresher import Moment, Refresher
from monitor.api.roster import Group, Roster
from monitor.api.targets import Target
from monitor.policy.dynamic_checks import dynamic

METHODS = ("GET", "HEAD")
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
FULL, HEALTH_JSON = "full", "health+json"
NOWHERE: Mapping[str, Any] = {}


class Probes:
    """Answers from a roster and what a refresher knows, and touches nothing else."""

    def __init__(self, roster: Roster, refresher: Refresher, renderer: render.Renderer, access: Access) -> None:
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
        origin: Mapping[str, Any] = NOWHERE,
        is_staff: bool = False,
    ) -> Answer:
        """The answer of a probe to a request with these properties. For HEAD, the caller leaves out the body.

        ``origin`` are its CGI variables, where they are known. 401 when it asks for what is not for everybody, and
        is not authorised.
        """
        if method not in METHODS:
            return Answer(405, b'{"error":"method_not_allowed"}', JSON, ("Allow", ", ".join(METHODS)))
        if not self._exists(target):
            return Answer(404, b'{"error":"not_found"}', JSON)
        variant = ""
        if target.is_guarded or target.is_graded:
            if self.access.allows(authorization, origin, is_staff=is_staff):
                variant = FULL
            elif target.is_guarded or (query and FULL in parse_qs(query, keep_blank_values=True)):
                return Answer(401, b'{"error":"unauthorized"}', JSON, ("WWW-Authenticate", "Bearer"))
        if health_json.MEDIA_TYPE in accept and not target.is_guarded and not (target.is_kubernetes and target.name):
            variant = HEALTH_JSON
        elif query and target.is_kubernetes:
            return self._kubernetes(target, query)
        # A page that is kept for what comes at run time would stay when it has gone.
        page = self.page(target, variant) if self._stays(target) else None
        return page.current() if page else self._render(target, variant)

    def page(self, target: Target, variant: str = "") -> Page:
        """The kept page of a target that stays: for everybody, ``FULL`` for the authorised, or as ``HEALTH_JSON``."""
        page = self._pages.get((target, variant))
        if page is None:
            page = self._pages.setdefault((target, variant), Page(lambda: self._render(target, variant)))
        return page

    def public_page(self, target: Target) -> Page | None:
        """The page that answers every GET that neither asks for anything special nor proves anything; None for none."""
        if target.is_guarded or not self._stays(target):
            return None
        return self.page(target)

    def _stays(self, target: Target) -> bool:
        return target.what != "checks" or target.name in self._roster.checks

    def _exists(self, target: Target) -> bool:
        if not target.name:
            return True
        if target.is_kubernetes:
            return any(line.name == target.name for line in self._lines(target))
        if target.what == "groups":
            return target.name in self._roster.groups
        return self._roster.find(target.name, self._moment()) is not None

    def _render(self, target: Target, variant: str) -> Answer:
        if variant == HEALTH_JSON:
            return self._health_json(target.plain)
        if target.is_kubernetes:
            return self._kubernetes(target, "")
        return self._json(target, full=variant == FULL)

    def _json(self, target: Target, *, full: bool) -> Answer:
        if target.what == "live":
            return Answer(200, render.live(time.time()).encode(), JSON)
        moment = self._moment()
        if target.what == "alerts":
            return self._alerts()
        if target.what == "detailed":
            passes, body = True, self._renderer.detailed(moment, full=full)
        elif target.what == "startup":
            passes, body = self._renderer.startup(moment)
        elif target.what == "checks":
            check = self._roster.find(target.name, moment) or dynamic(target.name)
            passes, body = self._renderer.check(check, moment, full=full)
        elif target.what == "workers":
            passes, body = True, self._renderer.workers(moment)
        else:
            passes, body = self._renderer.group(self._group(target, moment), moment)
        return Answer(200 if passes else 503, body.encode(), JSON)

    def _alerts(self) -> Answer:
        overview = self._refresher.alerts.ask()
        if overview is None:  # asked for now, it is read in a moment; or the store does not answer
            return Answer(503, b'{"error":"not_read_yet"}', JSON, ("Retry-After", "1"))
        return Answer(200, self._renderer.alerts(overview).encode(), JSON)

    def _health_json(self, target: Target) -> Answer:
        if target.what in ("live", "startup"):
            passes = all(line.passed for line in self._lines(target))
            body = health_json.plain(passes)
        else:
            moment = self._moment()
            passes, body = health_json.group(self._roster, self._group(target, moment), moment)
        return Answer(200 if passes else 503, body.encode(), health_json.MEDIA_TYPE)

    def _kubernetes(self, target: Target, query: str) -> Answer:
        lines, asked = self._lines(target), parse_qs(query, keep_blank_values=True)
        if target.name:
            status, text = kubernetes.single(lines, target.name)
        else:
            exclude = asked.get("exclude", ())
            status, text = kubernetes.whole(target.what, lines, verbose="verbose" in asked, exclude=exclude)
        return Answer(status, text.encode(), TEXT)

    def _lines(self, target: Target) -> list[Line]:
        if target.plain.what == "live":
            return [Line(kubernetes.PING, True)]
        if target.plain.what == "startup":
            tried = Line("first-read", self._moment().tried, "not_tried")
            return [Line(kubernetes.PING, True), tried, *kubernetes.problem(self._roster)]
        return kubernetes.lines(self._roster, self._roster.ready, self._moment())

    def _group(self, target: Target, moment: Moment) -> Group:
        if target.what == "groups":
            return self._roster.groups[target.name]
        if target.what == "checks":
            return self._roster.single(self._roster.find(target.name, moment) or dynamic(target.name))
        return self._roster.everything(moment) if target.what == "detailed" else self._roster.ready

    def _moment(self) -> Moment:
        self._refresher.start()
        return self._refresher.moment()
