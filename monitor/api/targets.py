"""The table of probe endpoints, and the paths that they answer."""

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
    """One row of the table: what the OpenAPI document says of it, and the body of each status code by its name there.

    ``is_named``: the name of a group or of a check follows in the path. ``is_guarded``: for authorised requests only.
    ``is_graded``: authorised requests get more than others.
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
    "live": Endpoint("Whether this process is alive.", {200: PROBED}),
    "ready": Endpoint("Whether no critical check of the group `ready` fails.", _EITHER),
    "startup": Endpoint("Whether this process has its configuration and has tried to read the store.", _EITHER),
    "groups": Endpoint("Whether no critical check of a group fails.", _NAMED, is_named=True),
    "checks": Endpoint("One check: 503 when it is in error, stale or unknown.", _NAMED, is_named=True, is_graded=True),
    "workers": Endpoint("All workers and queues, each with its verdict.", _GUARDED, is_guarded=True),
    "alerts": Endpoint(
        "The state of alerting: 503 to the first request, and while the store does not answer.",
        {**_GUARDED, 503: REFUSAL},
        is_guarded=True,
    ),
    "detailed": Endpoint("Described with its parameters in `monitor.api.history.detailed`.", {}, is_graded=True),
}
"""The endpoints below the mount of ``monitor.api.urls``."""

KUBERNETES: Mapping[str, str] = {"livez": "live", "healthz": "live", "readyz": "ready", "startupz": "startup"}
"""The endpoints of the Kubernetes API server's convention, and the name of each in the table."""


class Target(NamedTuple):
    """The endpoint that a path names, and the name of the group or check below it."""

    endpoint: str
    name: str = ""

    @property
    def is_kubernetes(self) -> bool:
        """Return whether it follows the Kubernetes API server's convention."""
        return self.endpoint in KUBERNETES

    @property
    def is_guarded(self) -> bool:
        """Return whether it is for authorised requests only."""
        return self.endpoint in _GUARDED_NAMES

    @property
    def is_graded(self) -> bool:
        """Return whether authorised requests get more than others."""
        return self.endpoint in _GRADED_NAMES

    @property
    def plain(self) -> Target:
        """Return the same target outside the Kubernetes convention."""
        return Target(KUBERNETES.get(self.endpoint, self.endpoint), self.name)


_GUARDED_NAMES = frozenset(name for name, endpoint in ENDPOINTS.items() if endpoint.is_guarded)
_GRADED_NAMES = frozenset(name for name, endpoint in ENDPOINTS.items() if endpoint.is_graded)
PROBES = {name: Target(name) for name, endpoint in ENDPOINTS.items() if not endpoint.is_named}
PARENTS = tuple(name for name, endpoint in ENDPOINTS.items() if endpoint.is_named)
ROOT_PROBES = {name: Target(name) for name in KUBERNETES} | {"api/health-check": Target("ready")}
ROOT_PARENTS = tuple(KUBERNETES)
NAMED = "|".join(KINDS)
"""The kinds of the checks that can be requested by the names of their targets, which may hold slashes."""


def is_past(target: Target, query: str) -> bool:
    """Return whether the request is for a moment of the past, which takes the store: a view's work."""
    return bool(query) and target.endpoint == "detailed" and "at" in parse_qs(query, keep_blank_values=True)


def path_info(environ: Mapping[str, Any]) -> str:
    """Return the path of a WSGI request as text. There, each of its bytes is a character (PEP 3333)."""
    path: str = environ.get("PATH_INFO", "")
    return path if path.isascii() else path.encode("latin-1", errors="replace").decode(errors="replace")


def find(path: str) -> Target | None:
    """Return the probe at a path below the mount of ``monitor.api.urls``, with or without the trailing slash."""
    return _find(path, PROBES, PARENTS)


def find_at_root(path: str) -> Target | None:
    """Return the probe at a path below the mount of ``monitor.api.root_urls``, with or without the trailing slash."""
    return _find(path, ROOT_PROBES, ROOT_PARENTS)


def _find(path: str, probes: Mapping[str, Target], parents: tuple[str, ...]) -> Target | None:
    path = path.removesuffix("/")
    if path in probes:
        return probes[path]
    parent, _, name = path.partition("/")
    if parent not in parents or not name:
        return None
    is_target = parent == "checks" and name.partition(":")[0] in KINDS
    return Target(parent, name) if is_target or "/" not in name else None
