"""The description of the API: it is true (schemathesis asks by it), and people can read it without a CDN."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from playwright.sync_api import expect
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from monitor.api import service as composition
from monitor.api.service import Service, build
from monitor.api.targets import ENDPOINTS
from monitor.store.memory.store import MemoryStore
from tests.support.browser import OpenPage, chromium, open_page
from tests.support.builders.samples import with_a_past
from tests.support.builders.values import check, config, record
from tests.support.processes import wait_for
from tests.support.roles import StartMonitor
from tests.support.wsgi_client import TOKEN, Client

__all__ = ["chromium", "open_page"]

HELD = [
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
"""500 is in no description, 503 in some. Not that all of the right shape is accepted: no schema knows what is past."""

HEADERS = {"Host": "localhost", "Authorization": "Bearer hushhushhushhush", "Accept-Encoding": "identity"}

EXAMPLES = settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    store = with_a_past()
    record(store, "database", data={"percent": 51.0}, series=("percent",), message="on db-1")
    record(store, "cache", "warning", reason="slow")
    record(store, "group:orders:billing", data={"lag": 12}, series=("lag",))
    record(store, "worker:celery@web-1", data={"verdict": "consuming"})
    return store


@pytest.fixture(scope="module")
def service(store: MemoryStore, django_is_set_up: None) -> Iterator[Service]:
    """Over that store, with a token."""
    checks = check("database"), check("cache")
    service = build(config(*checks, token="hushhushhushhush"), connect=lambda: store, history_source=lambda: store)
    kept, composition._services[:] = composition._services[:], [service]
    service.refresher.start()
    wait_for(lambda: service.refresher.reaches.value.raw, what="the first read")
    yield service
    composition._services[:] = kept
    service.refresher.stop()


@pytest.fixture(scope="module")
def application(service: Service) -> Any:
    from monitor.standalone.wsgi import Handler

    return Handler()


@pytest.fixture(scope="module")
def described(application: Any) -> dict[str, Any]:
    found: dict[str, Any] = Client(application, **TOKEN)("openapi.json").json
    return found


PROBES = [f"{path}/{{name}}" if each.has_name else path for path, each in ENDPOINTS.items() if each.responses]
OPERATIONS = ("history", "history/overview", "uptime", "events", "snapshot", "detailed", *PROBES)
NOT_DESCRIBED = {"openapi", "docs", "docs-asset"}


def test_everything_below_the_prefix_is_described(described: dict[str, Any]) -> None:
    """With a name, what it says, and every status code; and it is a description at all."""
    from monitor.api.urls import urlpatterns

    names = {each["get"]["operationId"].replace("_", "-") for each in described["paths"].values()}
    assert names == {pattern.name for pattern in urlpatterns} - NOT_DESCRIBED
    assert set(described["paths"]) >= {f"/api/health/{path}/" for path in OPERATIONS}
    for path in described["paths"].values():
        assert list(path) == ["get"]
        assert path["get"]["description"]
        assert "200" in path["get"]["responses"]
    assert described["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(described).validate()


@pytest.mark.parametrize("path", OPERATIONS)
def test_answers_are_as_described(described: dict[str, Any], application: Any, path: str) -> None:
    """Status codes, content types and bodies, for questions of the right shape."""
    operation = schemathesis.openapi.from_dict(described)[f"/api/health/{path}/"]["GET"]

    @EXAMPLES
    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE), known=st.booleans())
    def ask(case: Any, known: bool) -> None:
        if known and "check" in (case.query or {}):
            case.query["check"] = "database"  # or else hardly ever one that there is
        if known and path == "checks/{name}":
            case.path_parameters["name"] = "database"
        case.validate_response(call(case, application), checks=HELD)

    ask()


@pytest.mark.parametrize("path", ["history", "history/overview", "uptime", "events", "detailed"])
def test_other_questions_are_refused(described: dict[str, Any], application: Any, path: str) -> None:
    """What is not of the shape that is described: with 400 and all that is wrong."""
    operation = schemathesis.openapi.from_dict(described)[f"/api/health/{path}/"]["GET"]

    @EXAMPLES
    @given(case=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def ask(case: Any) -> None:
        response = call(case, application)
        sent = parse_qsl(urlsplit(response.request.url).query, keep_blank_values=True)
        assume(all(value for _, value in sent))  # what is left empty is as good as absent
        case.validate_response(response, checks=[*HELD, negative_data_rejection])
        if response.status_code == 400:
            assert all(problem["hint"] for problem in response.json()["problems"])

    ask()


def call(case: Any, application: Any) -> Any:
    return case.call(app=application, base_url="http://localhost", headers=HEADERS)


def test_questions_that_are_answered(described: dict[str, Any], application: Any) -> None:
    """The bodies of all that is usually asked, in JSON, against the description."""
    schema = schemathesis.openapi.from_dict(described)
    usual: dict[str, list[dict[str, Any]]] = {
        "history": [{"check": "database"}, {"check": "database", "since": "-90d", "step": "1h", "series": "percent"}],
        "history/overview": [{}, {"window": "7d", "points": 10}],
        "uptime": [{}, {"check": "cache", "window": "1h", "days": 3}],
        "events": [{}, {"check": "cache", "limit": 1}],
        "detailed": [{}, {"at": "-1h"}, {"at": "-9d"}],
        "snapshot": [{}],
    }
    for path, queries in usual.items():
        for query in queries:
            case = schema[f"/api/health/{path}/"]["GET"].Case(query=query)
            response = call(case, application)
            case.validate_response(response, checks=HELD)
            assert response.status_code == (404 if query.get("at") == "-9d" else 200), (path, query, response.text)


def test_the_page_for_people(described: dict[str, Any], start_monitor: StartMonitor, open_page: OpenPage) -> None:
    """In a browser, under a policy that lets it load nothing else and run nothing inline: a question can be tried."""
    monitor = start_monitor('[checks.database]\nkind = "database"\n')
    monitor.web()
    page = open_page(f"http://localhost:{monitor.port}/api/health/docs")
    expect(page.locator(".opblock")).to_have_count(len(described["paths"]))
    page.locator("#operations-the_present-snapshot .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator("#operations-the_present-snapshot .live-responses-table")).to_contain_text('"answering": true')


def test_its_files(application: Any) -> None:
    """All from here, at addresses that their content decides, kept for ever, compressed."""
    ask = Client(application, **TOKEN)
    reply = ask("docs")
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    text = reply.body.decode()
    assert re.findall(r"<script(?![^>]*\ssrc=)|\son\w+=|\sstyle=|<style", text) == []
    files = re.findall(r'(?:src|href)="(/[^"]+static[^"]+)"', text)
    assert len(files) == 4
    for file in files:
        path = file.removeprefix("/api/health/")
        asset, packed = ask(path), ask(path, HTTP_ACCEPT_ENCODING="gzip")
        assert asset.status == 200
        assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert packed.headers["content-encoding"] == "gzip"
        assert len(packed.body) < len(asset.body)
    assert ask("docs/static/0123456789abcdef/swagger-ui.css").status == 404
    assert ask(f"{files[0].removeprefix('/api/health/')}.map").status == 404
