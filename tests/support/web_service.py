"""Django, set up once for this process, with a service on a store in memory behind its handlers."""

from __future__ import annotations

import os
from collections.abc import Iterator

import django
import pytest

from monitor.api import service as composition
from monitor.api.service import Service, build
from monitor.store.memory.store import MemoryStore
from tests.support.builders.values import check, config, record
from tests.support.processes import wait_for


@pytest.fixture(scope="session")
def django_is_set_up() -> None:
    """Use our own project's settings, unless another test has set up others: tests override the settings they need."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "monitor.settings")
    django.setup()
    from monitor.api import wrapper

    wrapper.install()


@pytest.fixture
def ready_store() -> MemoryStore:
    """Provide the store of the service of this process."""
    return MemoryStore()


@pytest.fixture
def ready_service(
    django_is_set_up: None, ready_store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    """Provide the service of this process, with one check, which is ok."""
    record(ready_store, "database")
    service = build(config(check("database")), connect=lambda: ready_store)
    monkeypatch.setattr(composition, "_services", [service])
    service.refresher.start()
    wait_for(lambda: service.refresher.snapshot().answering, what="the first read")
    yield service
    service.refresher.stop()
