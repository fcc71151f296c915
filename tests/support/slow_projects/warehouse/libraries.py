"""Libraries that the settings of a large project import, such as those of saleor (GraphQL, databases, payment, mail).

In saleor, the settings and the Celery application are 200 MB beside the monitor's own imports. These libraries, of
those that the tests have anyway, and the objects of the library of schemas are as much.
"""

import importlib

NAMES = (
    "apprise",
    "django.contrib.admin",
    "django.contrib.auth.hashers",
    "docker",
    "graphql",
    "hypothesis.strategies",
    "jsonschema",
    "kafka",
    "kombu.transport.redis",
    "mypy.build",
    "playwright.sync_api",
    "prometheus_client",
    "psycopg",
    "pymysql",
    "pytest_celery",
    "schemathesis",
    "urllib3",
    "werkzeug",
)

TABLES = 250_000


def import_all() -> list[dict[str, str]]:
    """Import the libraries. Return tables, as a large catalogue of translations."""
    for name in NAMES:
        importlib.import_module(name)
    _catalogue.extend({f"message {number}": f"text of the message {number}"} for number in range(TABLES))
    return _catalogue


_catalogue: list[dict[str, str]] = []
