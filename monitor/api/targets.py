"""Which paths are probes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qs


class Target(NamedTuple):
    """What a path asks for: ``what`` is the endpoint, ``name`` the group or check below it."""

    what: str
    name: str = ""

    @property
    def is_kubernetes(self) -> bool:
        """Whether it is answered in the dialect of the Kubernetes API server."""
        return self.what in KUBERNETES

    @property
    def is_guarded(self) -> bool:
        """Whether it is for the authorised alone."""
        return self.what in GUARDED

    @property
    def is_graded(self) -> bool:
        """Whether it says more to the authorised than to everybody."""
        return self.what in GRADED

    @property
    def plain(self) -> Target:
        """What it is called outside that dialect."""
        return Target(KUBERNETES.get(self.what, self.what), self.name)


KUBERNETES: Mapping[str, str] = {"livez": "live", "healthz": "live", "readyz": "ready", "startupz": "startup"}
"""The endpoints of that dialect, and what each of them is called in ours."""

GRADED = frozenset({"detailed", "checks"})
GUARDED = frozenset({"workers", "alerts"})
PROBES = {name: Target(name) for name in ("live", "ready", "detailed", "startup", "workers", "alerts")}
PARENTS = ("groups", "checks")
ROOT_PROBES = {name: Target(name) for name in KUBERNETES} | {"api/health-check": Target("ready")}
ROOT_PARENTS = tuple(KUBERNETES)


def is_past(target: Target, query: str) -> bool:
    """Whether a moment of the past is asked for, which takes the store: a view's work."""
    return bool(query) and target.what == "detailed" and "at" in parse_qs(query, keep_blank_values=True)


def find(path: str) -> Target | None:
    """The probe at a path below the mount of ``monitor.api.urls``, with or without the trailing slash."""
    return _find(path, PROBES, PARENTS)


def find_at_root(path: str) -> Target | None:
    """The probe at a path below the mount of ``monitor.api.root_urls``, with or without the trailing slash."""
    return _find(path, ROOT_PROBES, ROOT_PARENTS)


def _find(path: str, probes: Mapping[str, Target], parents: tuple[str, ...]) -> Target | None:
    path = path.removesuffix("/")
    if path in probes:
        return probes[path]
    parent, _, name = path.partition("/")
    return Target(parent, name) if parent in parents and name and "/" not in name else None
