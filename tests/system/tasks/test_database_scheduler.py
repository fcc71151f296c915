"""A project whose beat keeps its schedule in its database (django-celery-beat), with rows of earlier versions in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.postgres_server import PostgresServer
from tests.support.processes import wait_for
from tests.support.redis_server import StartRedis
from tests.support.roles import FailureText
from tests.support.shop import Shop

DATABASE_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """A database server of the test's own: it is filled."""
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture
def shop(start_redis: StartRedis, postgres: PostgresServer) -> Iterator[Shop]:
    """The project with its tables and the rows of an earlier version."""
    shop = Shop(start_redis(), postgres, SHOP_KEEPS_SCHEDULE_IN_DATABASE="1")
    try:
        for arguments in (["-m", "django", "migrate"], ["earlier_entries.py"]):
            process = shop.run("python", *arguments)
            assert process.wait(60) == 0, process.logs()
        yield shop
    finally:
        shop.stop()


def rows(postgres: PostgresServer, table: str, column: str) -> list[object]:
    """One column of a table of django-celery-beat, sorted."""
    with postgres.connect() as connection:
        found = connection.execute(f"SELECT {column} FROM django_celery_beat_{table} ORDER BY 1").fetchall()
    return [value for (value,) in found]


@pytest.mark.parametrize("runs_checks", ["1", ""], ids=["with run_checks", "without"])
def test_what_earlier_versions_stored_floods_nothing(runs_checks: str, shop: Shop, postgres: PostgresServer) -> None:
    """From the second start on, "every 0 seconds" was sent 50 times a second. Now the rows go at beat's start."""
    assert 0 in rows(postgres, "intervalschedule", "every")
    shop.run("celery", "-A", "shop", "beat", "-S", DATABASE_SCHEDULER, SHOP_RUNS_CHECKS=runs_checks)
    with shop.redis.client() as client:
        wait_for(
            lambda: client.llen("shop") >= 4, seconds=40, what=FailureText(shop, "the shop's entry was due four times")
        )
        waiting = client.llen("monitor.dispatch")
    assert waiting <= 5
    assert bool(waiting) == bool(runs_checks), shop.logs()
    assert rows(postgres, "periodictask", "name") == ["celery.backend_cleanup", "restock-every-second"]
    assert rows(postgres, "intervalschedule", "every") == [1], "what the project's own entry uses"
    assert "Traceback" not in shop.logs()
