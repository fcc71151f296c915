"""Mounts of the probes in a Django project: the prefixes at which its URLconf includes the monitor's URLconfs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from django.urls import URLResolver, get_resolver
from django.urls.resolvers import RegexPattern, RoutePattern

from monitor.api import targets
from monitor.api.targets import Target

_FINDERS: dict[str, Callable[[str], Target | None]] = {
    "monitor.api.urls": targets.find,
    "monitor.api.root_urls": targets.find_at_root,
}


class Mount(NamedTuple):
    """Prefix, and the function that finds the probes below it."""

    prefix: str
    find: Callable[[str], Target | None]


def discover(urlconf: str) -> tuple[Mount, ...]:
    """Return the mounts of a URLconf. Imports the URLconf, and raises the errors of the import.

    A prefix with a converter or a language prefix differs between requests and is left out. There, Django's routing
    calls the views of the probes.
    """
    return tuple(_walk(get_resolver(urlconf).url_patterns, "/"))


def find(mounts: tuple[Mount, ...], path: str) -> Target | None:
    """Return the probe at a path; None for another path."""
    for prefix, find_below in mounts:
        if path.startswith(prefix) and (target := find_below(path[len(prefix) :])):
            return target
    return None


def covers(mounts: tuple[Mount, ...], path: str) -> bool:
    """Return whether a path is a probe or is below the prefix of the API. Below the prefix it need not exist."""
    return any(
        path.startswith(prefix) and (find_below is targets.find or find_below(path[len(prefix) :]) is not None)
        for prefix, find_below in mounts
    )


def _walk(patterns: Any, above: str) -> Iterator[Mount]:
    for entry in patterns:
        if not isinstance(entry, URLResolver):
            continue
        route = _static(entry.pattern)
        if route is None:
            continue
        name = getattr(entry.urlconf_name, "__name__", entry.urlconf_name)
        if isinstance(name, str) and name in _FINDERS:
            yield Mount(above + route, _FINDERS[name])
        else:
            yield from _walk(entry.url_patterns, above + route)


def _static(pattern: Any) -> str | None:
    """Return the only text that a pattern matches; None if the pattern matches several texts."""
    text = str(pattern)
    if isinstance(pattern, RoutePattern):
        return None if pattern.converters else text
    if isinstance(pattern, RegexPattern) and re.fullmatch(r"\^?[\w/-]*", text):
        return text.removeprefix("^")
    return None
