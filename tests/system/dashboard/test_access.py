"""Who is let in, and what the page and its files are sent with."""

from __future__ import annotations

import http.client
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.browser import OpenPage
from tests.support.celery_nodes import ROOT, HostProcess
from tests.support.page_stage import Stage
from tests.support.processes import free_port, wait_for
from tests.support.redis_server import RedisServer
from tests.support.roles import AUTHORIZED, Monitor, StartMonitor

PAGE = "/admin/monitoring/"


def ask(port: int, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status code, headers and body of a GET."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers={"Host": f"localhost:{port}", **headers})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def lives(port: int) -> bool:
    """Whether a server answers there."""
    try:
        return ask(port, "/api/health/live/")[0] == 200
    except OSError:
        return False


@pytest.fixture
def shop(request: pytest.FixtureRequest, tmp_path: Path, start_redis: Callable[..., RedisServer]) -> Iterator[int]:
    """The port of a user's project."""
    port = free_port()
    environment = {
        "SHOP_DATABASE": str(tmp_path / "shop.sqlite3"),
        "SHOP_URLCONF": getattr(request, "param", "tests.support.admin_shop.urls"),
        "TEST_REDIS_URL": start_redis().url,
    }
    process = HostProcess([sys.executable, "-m", "tests.support.admin_shop", str(port)], environment, ROOT)
    wait_for(lambda: lives(port), seconds=60, what="the shop answers")
    yield port
    process.teardown()


def test_a_projects_staff_log_in_to_its_admin(shop: int, open_page: OpenPage) -> None:
    """And are led to the page, which is there without a line in a URLconf; its questions come with their session."""
    page = open_page(f"http://localhost:{shop}/office/admin/monitoring/")
    assert "/office/admin/login/" in page.url
    page.locator("#id_username").fill("ada")
    page.locator("#id_password").fill("lovelace")
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"http://localhost:{shop}/office/admin/monitoring/")
    expect(page.locator("header")).to_contain_text("Office")
    assert (
        page.evaluate("fetch(document.documentElement.dataset.api + 'workers/').then(answer => answer.status)") == 200
    )
    expect(page.locator("#theme")).to_have_css("cursor", "pointer")  # the stylesheet is there


@pytest.mark.parametrize("shop", ["tests.support.admin_shop.urls_behind"], indirect=True)
def test_behind_the_front_end_of_a_project(shop: int, open_page: OpenPage) -> None:
    """Probes are answered before Django resolves the path. The page gets the front end, and explains it."""
    status, headers, _ = ask(shop, "/api/health/live/")
    assert (status, headers["content-type"]) == (200, "application/json")
    assert ask(shop, "/api/health/snapshot/")[1]["content-type"].startswith("text/html")
    page = open_page(f"http://localhost:{shop}/office/admin/monitoring/")
    page.locator("#id_username").fill("ada")
    page.locator("#id_password").fill("lovelace")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#notices")).to_contain_text("/api/health/snapshot/ returned 200 text/html")


def test_everybody_else_is_not_let_in(shop: int, open_page: OpenPage) -> None:
    """A user who is not staff; nobody; and on this machine, too, for other users of the site are as near."""
    for path in ("/office/admin/monitoring/", "/second/monitoring/"):
        status, headers, body = ask(shop, path)
        assert (status, b"data-api" in body) == (302, False)
        assert "/login/" in headers["location"]
    assert ask(shop, "/health-page/")[0] == 401
    page = open_page(f"http://localhost:{shop}/office/admin/monitoring/")
    page.locator("#id_username").fill("bob")
    page.locator("#id_password").fill("builder")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#id_username")).to_be_visible()
    expect(page.locator("#verdict")).to_have_count(0)


def test_a_link_opens_a_session_once(start_monitor: StartMonitor, open_page: OpenPage) -> None:
    """By `monitor open`: the page, its questions and a reload work; the code leaves the address and is used up."""
    monitor = start_monitor('[checks.database]\nkind = "database"\n', env={"MONITOR_TOKEN": ""})
    monitor.web()
    link = printed(monitor, "open")
    assert link.startswith(f"http://127.0.0.1:{monitor.port}{PAGE}#")
    nobody = {"extra_http_headers": {}}
    page = open_page(link, **nobody)
    expect(page.locator("#verdict")).to_be_visible()
    expect(page.locator("a.tile")).to_have_count(1)
    assert page.url == f"http://127.0.0.1:{monitor.port}{PAGE}"
    page.reload()
    expect(page.locator("a.tile")).to_have_count(1)
    [cookie] = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
    assert cookie["name"] == f"monitor_session_{monitor.port}"
    again = open_page(link, **nobody)
    expect(again.locator("#outcome")).to_contain_text("The link has been used before.")
    expect(
        open_page(f"http://127.0.0.1:{monitor.port}{PAGE}#{'A' * 51}", **nobody).locator("#outcome")
    ).to_contain_text("not for this server")


def test_another_site_has_nothing_of_a_session(start_monitor: StartMonitor, open_page: OpenPage, stage: Stage) -> None:
    """A page on another port of this machine: no fetch, no frame, no script; the session goes on."""
    monitor = start_monitor('[checks.database]\nkind = "database"\n', env={"MONITOR_TOKEN": ""})
    monitor.web()
    page = open_page(printed(monitor, "open"), extra_http_headers={})
    expect(page.locator("#verdict")).to_be_visible()
    other = page.context.new_page()
    other.goto(f"http://127.0.0.1:{stage.port}/admin/monitoring/")
    target = f"http://127.0.0.1:{monitor.port}/api/health/workers/"
    sent: list[int] = []
    other.on("response", lambda answer: answer.url == target and sent.append(answer.status))
    with other.expect_response(target):
        other.evaluate("target => { window.open(target, '_self'); }", target)
    assert sent == [401]
    page.reload()
    expect(page.locator("#verdict")).to_be_visible()


def test_without_a_proof_the_page_says_how_to_get_one(start_monitor: StartMonitor) -> None:
    """From this machine, with and without forwarding headers: 401, and the commands that help."""
    monitor = start_monitor('[checks.database]\nkind = "database"\n')
    monitor.web()
    for headers in ({}, {"X-Forwarded-For": "10.0.0.7"}, {"Sec-Fetch-Site": "none"}):
        status, answered, body = ask(monitor.port, PAGE, **headers)
        assert (status, b"monitor open" in body, b"data-api" in body) == (401, True, False)
        assert "frame-ancestors 'none'" in answered["content-security-policy"]
    assert ask(monitor.port, PAGE, **AUTHORIZED)[0] == 200


def printed(monitor: Monitor, *command: str) -> str:
    """Return what a command prints."""
    done = monitor.run(*command)
    wait_for(lambda: done.status == "exited", seconds=30, what=f"monitor {command} ended")
    return done.logs().strip().splitlines()[-1]


def test_what_the_page_is_sent_with(stage: Stage) -> None:
    """A policy that lets it load only what is its own, and nothing that keeps it anywhere."""
    status, headers, body = ask(stage.port, PAGE, **AUTHORIZED)
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert status == 200
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    text = body.decode()
    assert re.findall(r"<script(?![^>]*\ssrc=)|\son\w+=|\sstyle=|<style", text) == []
    assert re.findall(r"""(?:src|href)=["'](?:https?:)?//""", text) == []


def test_its_files_are_kept_for_ever(stage: Stage) -> None:
    """At an address that their content decides; compressed for who takes that; never guessed what they are."""
    text = ask(stage.port, PAGE, **AUTHORIZED)[2].decode()
    paths = sorted(set(re.findall(r'(?:src|href)="(static/[^"]+)"', text)))
    assert len(paths) > 15
    types = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
    for path in paths:
        status, headers, body = ask(stage.port, PAGE + path)
        assert (status, headers["content-type"]) == (200, types[path.rpartition(".")[2]])
        assert headers["cache-control"] == "public, max-age=31536000, immutable"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["vary"] == "Accept-Encoding"
        _, headers, compressed = ask(stage.port, PAGE + path, **{"Accept-Encoding": "gzip"})
        assert headers["content-encoding"] == "gzip"
        assert len(compressed) < len(body)
    assert ask(stage.port, PAGE + "static/0123456789abcdef/dashboard.css")[0] == 404
    assert ask(stage.port, PAGE + paths[0].replace("static/", "static/../"))[0] in (301, 404)


def test_the_vendored_library_keeps_its_licence() -> None:
    """Beside it, and in what is installed."""
    folder = ROOT / "monitor" / "dashboard" / "static" / "vendor" / "uplot"
    assert "The MIT License" in (folder / "LICENSE").read_text()
    assert "https://github.com/leeoniya/uPlot" in (folder / "uPlot.iife.min.js").read_text()[:200]
