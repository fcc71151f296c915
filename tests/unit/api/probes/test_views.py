"""The probes as views and behind the middleware: test clients, and mounts that the wrapper does not see."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from django.test import AsyncClient, Client, override_settings
from django.urls import reverse

from monitor.api.service import Service
from monitor.lib.safe_names import check_name
from monitor.store.memory.store import MemoryStore
from tests.support.builders.values import record

MIDDLEWARE = ["monitor.api.middleware.ProbeMiddleware", "django.middleware.security.SecurityMiddleware"]


@pytest.fixture(autouse=True)
def project(ready_service: Service) -> Any:
    with override_settings(ROOT_URLCONF="tests.support.site", ALLOWED_HOSTS=["testserver"], MIDDLEWARE=[]):
        yield


@pytest.mark.parametrize("path", ["/api/health/ready", "/api/health/ready/", "/tenant-7/health/ready/"])
def test_a_test_client_gets_the_same_answers(path: str) -> None:
    """Also below a converter, where no prefix is known beforehand."""
    response = Client().get(path)
    assert (response.status_code, response.json()["status"]) == (200, "ready")
    assert response["Cache-Control"] == "no-store"
    assert response["Content-Type"] == "application/json"


def test_views_have_the_whole_vocabulary() -> None:
    """405, 404, HEAD, dialects."""
    client = Client(enforce_csrf_checks=True)
    assert client.post("/api/health/live/").status_code == 405
    assert client.get("/api/health/groups/nope/").status_code == 404
    assert client.head("/api/health/ready/").content == b""
    assert client.get("/api/health/ready/", headers={"accept": "application/health+json"}).json()["status"] == "pass"
    assert client.get("/api/health/checks/database/").json()["name"] == "database"


@pytest.mark.parametrize("path", ["/api/health/checks/", "/tenant-7/health/checks/"])
@pytest.mark.parametrize("asked", ["queue:mail%2Furgent", "queue:mail/urgent", "queue:mail/urgent/"])
def test_a_check_answers_under_the_name_of_its_target(
    ready_service: Service, ready_store: MemoryStore, path: str, asked: str
) -> None:
    """Also below a converter, where no prefix is known beforehand: a queue's name may hold slashes."""
    assert Client().get(path + asked).status_code == 404
    record(ready_store, check_name("queue", "mail/urgent"))
    ready_service.refresher.read_once()
    assert Client().get(path + asked).json()["name"] == check_name("queue", "mail/urgent")


def test_probes_can_be_reversed() -> None:
    """For templates and documentation of a project."""
    with override_settings(ROOT_URLCONF="monitor.standalone.urls"):
        assert Client().get("/readyz?verbose").content.startswith(b"[+]ping ok")
        assert json.loads(Client().get(reverse("monitor:check", args=["database"])).content)["status"] == "ok"


@pytest.mark.parametrize("path", ["/api/health/ready", "/nested/deep/live/"])
def test_the_middleware_answers_ahead_of_the_others(path: str) -> None:
    """Under a redirect to https that comes after it, for both kinds of handlers."""
    with override_settings(MIDDLEWARE=MIDDLEWARE, SECURE_SSL_REDIRECT=True):
        assert Client().get(path).status_code == 200
        assert asyncio.run(_get(path)).status_code == 200
        assert Client().get("/livez").status_code == 301
        assert asyncio.run(_get("/livez")).status_code == 301


async def _get(path: str) -> Any:
    return await AsyncClient().get(path)
