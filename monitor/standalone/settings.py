"""Django settings of the monitor, for use without a Django project. The monitor has no tables of its own.

The only database is the one that the check of kind ``database`` watches. The module reads the configuration. It writes
nothing and connects to nothing.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.management.utils import get_random_secret_key

from monitor.config import Config, ConfigError, ConfigProblem, load


def _configuration() -> Config:
    try:
        return load().config
    except ConfigError:
        # The errors are not reported here: each role loads the configuration again and reports them.
        return Config()


def _database(config: Config) -> dict[str, Any]:
    """Return the database to watch: ``database_url``, or else an SQLite file in the data directory.

    If the data directory does not exist, the SQLite database is in memory.
    """
    if config.database_url is None:
        data_dir = config.data_dir or Path(".monitor")
        name = str(data_dir / "monitor.sqlite3") if data_dir.is_dir() else ":memory:"
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": name}
    try:
        database: dict[str, Any] = dict(dj_database_url.parse(config.database_url.get_secret_value()))
    except ValueError as error:  # not chained: its traceback may quote the URL
        raise ConfigError([ConfigProblem("database_url", None, str(error))]) from None
    if database["ENGINE"].endswith(".mysql") and find_spec("MySQLdb") is None:
        _use_pymysql()
    return database


def _use_pymysql() -> None:
    """Install PyMySQL in place of mysqlclient, as its manual describes. It needs no compiler (decision 29)."""
    try:
        import pymysql  # noqa: PLC0415 - an extra of its own
    except ModuleNotFoundError:
        return  # the check reports the missing driver
    pymysql.version_info = (2, 2, 1, "final", 0)  # the version of mysqlclient that Django requires
    pymysql.install_as_MySQLdb()


_config = _configuration()

# Each process has a new key. This is enough, because there are no Django sessions: nothing that is signed with the key
# is used after the process has ended.
SECRET_KEY = get_random_secret_key()
ALLOWED_HOSTS = list(_config.web.allowed_hosts)
DATABASES = {"default": _database(_config)}
INSTALLED_APPS = ["monitor"]
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "monitor.standalone.urls"
WSGI_APPLICATION = "monitor.wsgi.application"
USE_TZ = True
