"""Fixtures of the whole suite live in `tests/support`, one file for each kind of server or fault."""

pytest_plugins = [
    "tests.support.redis_server",
    "tests.support.postgres_server",
    "tests.support.faults",
    "tests.support.conversations",
]
