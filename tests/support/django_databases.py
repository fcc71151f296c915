"""Django with databases in its settings, for tests of the kinds."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

DatabaseAlias = Callable[[dict[str, Any]], str]


@pytest.fixture(scope="session")
def django() -> None:
    """Set up Django once for the session, with the project's settings or with minimal ones."""
    import django
    from django.conf import settings

    if not settings.configured and not os.environ.get("DJANGO_SETTINGS_MODULE"):
        if importlib.util.find_spec("monitor.settings"):
            os.environ["DJANGO_SETTINGS_MODULE"] = "monitor.settings"
        else:
            settings.configure(DATABASES={})
    django.setup()


@pytest.fixture
def database_alias(django: None) -> Iterator[DatabaseAlias]:
    """Provide `database_alias({"ENGINE": ...})`, which adds a database to Django's settings for one test."""
    from django.db import connections

    added: list[str] = []

    def add(settings: dict[str, Any]) -> str:
        alias = f"test-{len(added)}"
        connections.settings[alias] = connections.configure_settings({"default": {}, alias: dict(settings)})[alias]
        added.append(alias)
        return alias

    yield add
    for alias in added:
        del connections.settings[alias]
