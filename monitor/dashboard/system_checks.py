"""Django system check: the URLs of the monitor that another view of the project answers.

Django uses the first pattern that matches. So a catch-all pattern, which most projects with a single-page front end
have, takes the URLs of entries that follow it. Probes answer nevertheless, because `monitor.api.wrapper` answers them
before Django. The dashboard and the history do not.

The check calculates a path for each pattern of the monitor, and resolves this path.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from django.conf import settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.urls import Resolver404, URLPattern, URLResolver, get_resolver
from django.utils import translation
from django.utils.regex_helper import normalize

ID = "monitor.W001"

_VALUES = ("1", "x", "2026", "00000000-0000-0000-0000-000000000000", "en", "x.y")
"""Values for the parameters of a path. The first one that the pattern matches is used."""


class _OwnPath(NamedTuple):
    """Path of a view of the monitor. ``prefix`` is the path at which the project includes the view's URLconf."""

    prefix: str
    path: str


class _Catcher(NamedTuple):
    """Pattern and view of the project that answer a path."""

    route: str
    view: str


def check_urls(urlconf: Any) -> list[CheckMessage]:
    """Return a warning for each prefix whose paths other views answer. Raises the errors of the URLconf's import."""
    resolver = get_resolver(urlconf)
    with translation.override(settings.LANGUAGE_CODE):
        paths = list(_own_paths(resolver.url_patterns, ()))
        catchers = {own: _catcher(resolver, own.path) for own in paths}
    found: dict[tuple[str, _Catcher], list[str]] = {}
    for own, catcher in catchers.items():
        if catcher is not None:
            found.setdefault((own.prefix, catcher), []).append(own.path)
    return [
        _warning(prefix, catcher, taken, is_all=len(taken) == sum(own.prefix == prefix for own in paths))
        for (prefix, catcher), taken in found.items()
    ]


def _warning(prefix: str, catcher: _Catcher, paths: Sequence[str], *, is_all: bool) -> CheckMessage:
    if is_all and prefix != "/":
        taken = f"all URLs of the health monitor below {prefix}"
    else:
        more = f" and {len(paths) - 3} more URLs" if len(paths) > 3 else ""
        taken = f"{', '.join(paths[:3])}{more} of the health monitor"
    return CheckWarning(
        f"The view {catcher.view} answers {taken}, because its pattern {catcher.route!r} comes first.",
        hint=f"In the URLconf, put the entry for {prefix} before the pattern {catcher.route!r}, for example at the "
        "beginning of urlpatterns. Until then the dashboard and the history get the response of that view.",
        id=ID,
    )


def _own_paths(patterns: Any, above: tuple[Any, ...]) -> Iterator[_OwnPath]:
    """Return a path for each pattern of the monitor for which a path can be calculated."""
    for entry in patterns:
        if isinstance(entry, URLResolver):
            yield from _own_paths(entry.url_patterns, (*above, entry.pattern))
        elif isinstance(entry, URLPattern) and _is_own(entry.callback):
            texts = [_text(pattern) for pattern in above]
            last = _text(entry.pattern, ends_with_slash=True)
            if last is not None and None not in texts:
                prefix = "/" + "".join(text for text in texts if text is not None)
                yield _OwnPath(prefix, prefix + last)


def _text(pattern: Any, *, ends_with_slash: bool = False) -> str | None:
    """Return a text that a pattern matches completely; None if none is found."""
    for form, parameters in normalize(pattern.regex.pattern):
        for value in _VALUES if parameters else ("",):
            text = form % dict.fromkeys(parameters, value)
            for candidate in (f"{text.removesuffix('/')}/", text) if ends_with_slash else (text,):
                if _matches(pattern, candidate):
                    return candidate
    return None


def _matches(pattern: Any, text: str) -> bool:
    try:
        match = pattern.match(text)
    except Exception:  # noqa: BLE001 - a converter of the project may raise anything
        return False
    return match is not None and match[0] == ""


def _catcher(resolver: URLResolver, path: str) -> _Catcher | None:
    """Return the pattern that answers a path of the monitor; None if it is a pattern of the monitor."""
    try:
        match = resolver.resolve(path)
    except Resolver404:
        return None
    except Exception:  # noqa: BLE001 - a converter of the project may raise anything, for example without a database
        return None
    return None if _is_own(match.func) else _Catcher(str(match.route), _name(match.func))


def _is_own(view: Any) -> bool:
    """Return whether a view is defined in the monitor. Decorators are removed first."""
    while True:
        if isinstance(view, partial):
            view = view.func
        elif hasattr(view, "__wrapped__"):
            view = view.__wrapped__
        else:
            return str(getattr(view, "__module__", "")).startswith("monitor.")


def _name(view: Any) -> str:
    view = getattr(view, "view_class", view)
    return f"{view.__module__}.{getattr(view, '__qualname__', type(view).__qualname__)}"
