"""Django settings of the monitor, for use without a Django project: no tables, and one database to watch.

The module reads the configuration. It writes nothing and connects to nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dj_database_url
from django.core.management.utils import get_random_secret_key

from monitor.config import Config, ConfigError, ConfigProblem, load


def _configuration() -> Config:
    try:
        return load().config
    except ConfigError:
        # The code that starts a role or responds to a probe loads the configuration again and reports all errors.
        return Config()


def _database(config: Config) -> dict[str, Any]:
    """Return the database to watch: ``database_url``, or else SQLite in the data directory (in memory without one)."""
    if config.database_url is None:
        data_dir = config.data_dir or Path(".monitor")
        name = str(data_dir / "monitor.sqlite3") if data_dir.is_dir() else ":memory:"
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": name}
    try:
        return dict(dj_database_url.parse(config.database_url.get_secret_value()))
    except ValueError as error:  # not chained: it may quote the URL
        raise ConfigError([ConfigProblem("database_url", None, str(error))]) from None


_config = _configuration()

# A new key for each process is enough: without Django sessions, nothing signed outlives the process.
SECRET_KEY = get_random_secret_key()
ALLOWED_HOSTS = list(_config.web.allowed_hosts)
DATABASES = {"default": _database(_config)}
INSTALLED_APPS = ["monitor"]
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "monitor.standalone.urls"
WSGI_APPLICATION = "monitor.wsgi.application"
USE_TZ = True
