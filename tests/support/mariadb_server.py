"""Real MariaDB server, with PyMySQL as its driver."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import free_port, missing, wait_for


@pytest.fixture(scope="session")
def mariadb() -> Iterator[dict[str, Any]]:
    """Provide a private MariaDB server as an entry for Django's DATABASES."""
    if not (shutil.which("mariadbd") or Path("/usr/sbin/mariadbd").exists()):
        missing("mariadb-server")
    pymysql = pytest.importorskip("pymysql")
    directory = Path(tempfile.mkdtemp(prefix="mariadb-test-", dir="/tmp"))
    port = free_port()
    user = ["--user=root"] if os.geteuid() == 0 else []
    install = [
        "mariadb-install-db",
        "--no-defaults",
        f"--datadir={directory}/data",
        "--auth-root-authentication-method=normal",
    ]
    subprocess.run([*install, *user], check=True, capture_output=True)
    serve = ["mariadbd", "--no-defaults", f"--datadir={directory}/data", f"--socket={directory}/s", f"--port={port}"]
    environment = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"}
    with (directory / "log").open("wb") as log:
        options = ["--bind-address=127.0.0.1", "--skip-name-resolve", *user]
        server = subprocess.Popen([*serve, *options], env=environment, stdout=log, stderr=log)

    def prepared() -> bool:
        try:
            with pymysql.connect(unix_socket=f"{directory}/s", user="root").cursor() as cursor:
                cursor.execute("CREATE DATABASE IF NOT EXISTS monitor")
                cursor.execute("CREATE OR REPLACE USER monitor@127.0.0.1 IDENTIFIED BY 'swordfish'")
                cursor.execute("GRANT ALL ON monitor.* TO monitor@127.0.0.1")
            return True
        except pymysql.OperationalError:
            return False

    address = {"HOST": "127.0.0.1", "PORT": port, "USER": "monitor", "PASSWORD": "swordfish", "NAME": "monitor"}
    try:
        wait_for(prepared, seconds=30, what=f"MariaDB answers, see {directory}/log")
        yield {"ENGINE": "django.db.backends.mysql", **address}
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def mysql_driver() -> None:
    """Install PyMySQL in place of mysqlclient, as its manual describes."""
    pymysql = pytest.importorskip("pymysql")
    pymysql.version_info = (2, 2, 1, "final", 0)  # Django requires a version of mysqlclient
    pymysql.install_as_MySQLdb()
