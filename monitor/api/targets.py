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

    - ``has_name``: the path ends with the name of a group or of a check.
    - ``needs_authorisation``: a request that is not authorised gets 401.
    - ``has_authorised_fields``: authorised requests get more fields than others.
    """

    description: str
    responses: Mapping[int, str]
    has_name: bool = False
    needs_authorisation: bool = False
    has_authorised_fields: bool = False


_PASS_OR_FAIL = {200: PROBED, 503: PROBED}
_PASS_OR_FAIL_BY_NAME = {**_PASS_OR_FAIL, 404: REFUSAL}
_AUTHORISED = {200: OPEN, 401: REFUSAL}

ENDPOINTS: Mapping[str, Endpoint] = {
    "live": Endpoint("200 while this process is alive.", {200: PROBED}),
    "ready": Endpoint("200 while no critical check of the group `ready` fails.", _PASS_OR_FAIL),
    "startup": Endpoint("200 once this process has its configuration and has tried to read the store.", _PASS_OR_FAIL),
    "groups": Endpoint("200 while no critical check of a group fails.", _PASS_OR_FAIL_BY_NAME, has_name=True),
    "checks": Endpoint(
        "One check: 503 while its status is error, stale or unknown.",
        _PASS_OR_FAIL_BY_NAME,
        has_name=True,
        has_authorised_fields=True,
    ),
    "workers": Endpoint("All workers and queues, each with its verdict.", _AUTHORISED, needs_authorisation=True),
    "alerts": Endpoint(
        "The state of alerting. 503 until it is read: for the first request, for the first one after a minute without "
        "requests, and while the store does not answer.",
        {**_AUTHORISED, 503: REFUSAL},
        needs_authorisation=True,
    ),
    # `monitor.api.history.detailed` describes this endpoint, because it has parameters.
    "detailed": Endpoint("", {}, has_authorised_fields=True),
}
"""The endpoints below the mount of ``monitor.api.urls``."""

KUBERNETES: Mapping[str, str] = {"livez": "live", "healthz": "live", "readyz": "ready", "startupz": "startup"}
"""Names of the Kubernetes API server for endpoints of the table: each endpoint has two response formats."""


class Target(NamedTuple):
    """Name of an endpoint, and of the group or check in the path of the request (empty if the path has none)."""

    endpoint: str
    name: str = ""

    @property
    def is_kubernetes(self) -> bool:
        """Return whether the endpoint uses the response format of the Kubernetes API server."""
        return self.endpoint in KUBERNETES

    @property
    def needs_authorisation(self) -> bool:
        """Return whether a request that is not authorised gets 401."""
        return self.endpoint in _AUTHORISED_ONLY

    @property
    def has_authorised_fields(self) -> bool:
        """Return whether authorised requests get more fields than others."""
        return self.endpoint in _WITH_AUTHORISED_FIELDS

    @property
    def as_in_table(self) -> Target:
        """Return the target with the name that the endpoint has in the table, such as ``ready`` for ``readyz``."""
        return Target(KUBERNETES.get(self.endpoint, self.endpoint), self.name)


_AUTHORISED_ONLY = frozenset(name for name, endpoint in ENDPOINTS.items() if endpoint.needs_authorisation)
_WITH_AUTHORISED_FIELDS = frozenset(name for name, endpoint in ENDPOINTS.items() if endpoint.has_authorised_fields)
PROBES = {name: Target(name) for name, endpoint in ENDPOINTS.items() if not endpoint.has_name}
NAMED_ENDPOINTS = tuple(name for name, endpoint in ENDPOINTS.items() if endpoint.has_name)
ROOT_PROBES = {name: Target(name) for name in KUBERNETES} | {"api/health-check": Target("ready")}
ROOT_NAMED_ENDPOINTS = tuple(KUBERNETES)
RUNTIME_KINDS = "|".join(KINDS)
"""Pattern for the prefixes of checks that are created at run time. After the prefix, a path may contain slashes."""


def is_for_past(target: Target, query: str) -> bool:
    """Return whether the request is for a past moment. A Django view answers it, because it must read the store."""
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
    may_have_slash = parent == "checks" and name.partition(":")[0] in KINDS
    return Target(parent, name) if may_have_slash or "/" not in name else None
