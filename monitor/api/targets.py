"""Table of the probe endpoints, and their paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from monitor.lib.safe_names import KINDS

PROBED, OPEN, REFUSAL = "Probed", "Open", "Refusal"
"""Names of response bodies in the OpenAPI document: a probe's status, any fields, an error code."""


@dataclass(frozen=True)
class Endpoint:
    """Row of the table: the description in the OpenAPI document, and the name of the body of each status code.

    ``is_named``: the name of a group or of a check follows in the path. ``is_guarded``: only authorised requests get a
    response. ``is_graded``: authorised requests get more fields.
    """

    description: str
    responses: Mapping[int, str]
    is_named: bool = False
    is_guarded: bool = False
    is_graded: bool = False


_EITHER = {200: PROBED, 503: PROBED}
_NAMED = {**_EITHER, 404: REFUSAL}
_GUARDED = {200: OPEN, 401: REFUSAL}

ENDPOINTS: Mapping[str, Endpoint] = {
    "live": Endpoint("200 while this process is alive.", {200: PROBED}),
    "ready": Endpoint("200 while no critical check of the group `ready` fails.", _EITHER),
    "startup": Endpoint("200 once this process has its configuration and has tried to read the store.", _EITHER),
    "groups": Endpoint("200 while no critical check of a group fails.", _NAMED, is_named=True),
    "checks": Endpoint(
        "One check: 503 while its status is error, stale or unknown.", _NAMED, is_named=True, is_graded=True
    ),
    "workers": Endpoint("All workers and queues, each with its verdict.", _GUARDED, is_guarded=True),
    "alerts": Endpoint(
        "The state of alerting: 503 for the first request, and while the store does not answer.",
        {**_GUARDED, 503: REFUSAL},
        is_guarded=True,
    ),
    "detailed": Endpoint("Described with its parameters in `monitor.api.history.detailed`.", {}, is_graded=True),
}
"""The endpoints below the mount of ``monitor.api.urls``."""

KUBERNETES: Mapping[str, str] = {"livez": "live", "healthz": "live", "readyz": "ready", "startupz": "startup"}
"""Endpoints with the names of the Kubernetes API server, and the endpoint in the table of each."""


class Target(NamedTuple):
    """Endpoint of a path, and the name of the group or check in it."""

    endpoint: str
    name: str = ""

    @property
    def is_kubernetes(self) -> bool:
        """Return whether the endpoint follows the convention of the Kubernetes API server."""
        return self.endpoint in KUBERNETES

    @property
    def is_guarded(self) -> bool:
        """Return whether only authorised requests get a response."""
        return self.endpoint in _GUARDED_NAMES

    @property
    def is_graded(self) -> bool:
        """Return whether authorised requests get more fields."""
        return self.endpoint in _GRADED_NAMES

    @property
    def plain(self) -> Target:
        """Return the target with the endpoint's name in the table."""
        return Target(KUBERNETES.get(self.endpoint, self.endpoint), self.name)


_GUARDED_NAMES = frozenset(name for name, endpoint in ENDPOINTS.items() if endpoint.is_guarded)
_GRADED_NAMES = frozenset(name for name, endpoint in ENDPOINTS.items() if endpoint.is_graded)
PROBES = {name: Target(name) for name, endpoint in ENDPOINTS.items() if not endpoint.is_named}
NAMED_ENDPOINTS = tuple(name for name, endpoint in ENDPOINTS.items() if endpoint.is_named)
ROOT_PROBES = {name: Target(name) for name in KUBERNETES} | {"api/health-check": Target("ready")}
ROOT_NAMED_ENDPOINTS = tuple(KUBERNETES)
RUNTIME_KINDS = "|".join(KINDS)
"""Kinds of checks that can be requested by the names of their targets, which may contain slashes."""


def is_for_past(target: Target, query: str) -> bool:
    """Return whether the request is for a past moment. Its response needs the store, so a view answers it."""
    return bool(query) and target.endpoint == "detailed" and "at" in parse_qs(query, keep_blank_values=True)


def path_info(environ: Mapping[str, Any]) -> str:
    """Return the path of a WSGI request as text. In the environ, each byte is one character (PEP 3333)."""
    path: str = environ.get("PATH_INFO", "")
    return path if path.isascii() else path.encode("latin-1", errors="replace").decode(errors="replace")


def find(path: str) -> Target | None:
    """Return the probe at a path below the mount of ``monitor.api.urls``, with or without the trailing slash."""
    return _find(path, PROBES, NAMED_ENDPOINTS)


def find_at_root(path: str) -> Target | None:
    """Return the probe at a path below the mount of ``monitor.api.root_urls``, with or without the trailing slash."""
    return _find(path, ROOT_PROBES, ROOT_NAMED_ENDPOINTS)


def _find(path: str, probes: Mapping[str, Target], parents: tuple[str, ...]) -> Target | None:
    path = path.removesuffix("/")
    if path in probes:
        return probes[path]
    parent, _, name = path.partition("/")
    if parent not in parents or not name:
        return None
    is_target = parent == "checks" and name.partition(":")[0] in KINDS
    return Target(parent, name) if is_target or "/" not in name else None
