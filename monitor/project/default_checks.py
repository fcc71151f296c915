"""Checks of the default roster for the databases and the caches in a project's Django settings.

The module reads attributes only and does not import Django. The tables contain aliases and no addresses: a check reads
the address and the password from the settings when it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.lib import django_caches
from monitor.lib.safe_names import check_name

DEFAULT_ALIAS = "default"
"""Alias of the database that the check ``database`` watches."""

_NO_DATABASE = ("", "django.db.backends.dummy")


def from_settings(settings: Any) -> dict[str, dict[str, Any]]:
    """Return the tables of checks: ``database:ALIAS`` for each further database, ``cache:ALIAS`` for each Redis cache.

    None of them is critical or in a group. Characters of an alias that the name of a check cannot have are replaced.
    """
    return {
        check_name(kind, alias): {"kind": kind, "alias": alias, "critical": False}
        for kind, aliases in (("database", _databases(settings)), ("cache", _caches(settings)))
        for alias in aliases
    }


def _databases(settings: Any) -> list[str]:
    databases = _table(settings, "DATABASES")
    return [alias for alias, entry in databases.items() if alias != DEFAULT_ALIAS and _has_engine(entry)]


def _has_engine(entry: Any) -> bool:
    return isinstance(entry, Mapping) and (entry.get("ENGINE") or "") not in _NO_DATABASE


def _caches(settings: Any) -> list[str]:
    return [alias for alias, entry in _table(settings, "CACHES").items() if django_caches.is_redis_cache(entry)]


def _table(settings: Any, name: str) -> dict[str, Any]:
    value = getattr(settings, name, None)
    entries = value.items() if isinstance(value, Mapping) else ()
    return {alias: entry for alias, entry in entries if isinstance(alias, str)}
