"""Which paths are probes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from monitor.safe_names import KINDS


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
NAMED = "|".join(KINDS)
"""The kinds of the checks that may be asked for by the names of their targets, which may hold slashes."""


def is_past(target: Target, query: str) -> bool:
    """Whether a moment of the past is asked for, which takes the store: a view's work."""
    return bool(query) and target.what == "detailed" and "at" in parse_qs(query, keep_blank_values=True)


def path_info(environ: Mapping[str, Any]) -> str:
    """The path of a WSGI request as text. There, each of its bytes is a character (PEP 3333)."""
    path: str = environ.get("PATH_INFO", "")
    return path if path.isascii() else path.encode("latin-1", errors="replace").decode(errors="replace")


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
    if parent not in parents or not name:
        return None
    is_target = parent == "checks" and name.partition(":")[0] in KINDS
    return Target(parent, name) if is_target or "/" not in name else None
