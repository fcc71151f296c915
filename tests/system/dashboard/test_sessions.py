"""Links and sessions in a real browser, where they are used in other ways than once from a terminal."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import OpenPage
from tests.support.roles import Monitor, StartMonitor
from tests.system.dashboard.test_access import PAGE, printed

TOML = '[checks.database]\nkind = "database"\n'
NOBODY: dict[str, Any] = {"extra_http_headers": {}}
GUARDED = ("workers/", "snapshot/", "history/?check=database", "detailed/?at=-1h")


class _Empty(BaseHTTPRequestHandler):
    """A page of somebody else, with no policy that would keep its scripts from asking."""

    def do_GET(self) -> None:
        """Answer with an empty page."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "15")
        self.end_headers()
        self.wfile.write(b"<!doctype html>")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """The port of another server of this machine: of the same site, for a browser, and of another origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Empty)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def monitor(start_monitor: StartMonitor) -> Monitor:
    """A server that makes its own token."""
    monitor = start_monitor(TOML, env={"MONITOR_TOKEN": ""})
    monitor.web()
    return monitor


def shown(page: Page) -> None:
    """Wait until the page has been let in, and so have its questions."""
    expect(page.locator("a.tile")).to_have_count(1)


def test_a_new_link_in_the_tab_of_a_refused_one(monitor: Monitor, open_page: OpenPage) -> None:
    """As the refusal asks for: only the fragment differs, so the browser loads no page."""
    page = open_page(f"http://127.0.0.1:{monitor.port}{PAGE}#{'A' * 51}", **NOBODY)
    expect(page.locator("#outcome")).to_contain_text("not for this server")
    page.evaluate("link => { location.href = link; }", printed(monitor, "open"))
    shown(page)
    assert page.url == f"http://127.0.0.1:{monitor.port}{PAGE}"


def test_a_link_to_a_server_whose_token_is_configured(start_monitor: StartMonitor, open_page: OpenPage) -> None:
    """The first start has made no data directory for a token; used codes need one all the same."""
    monitor = start_monitor(TOML)
    monitor.web()
    shown(open_page(printed(monitor, "open"), **NOBODY))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_link_that_another_site_leads_to(monitor: Monitor, open_page: OpenPage, elsewhere: int, host: str) -> None:
    """As a chat or a wiki does: it opens the page, and a reload keeps it."""
    page = open_page(f"http://{host}:{elsewhere}/", **NOBODY)
    page.evaluate("link => { location.href = link; }", printed(monitor, "open"))
    shown(page)
    page.reload()
    shown(page)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_page_of_another_origin_has_nothing(monitor: Monitor, open_page: OpenPage, elsewhere: int, host: str) -> None:
    """Not by a fetch, a frame or a navigation, with the reader's session in the browser; which goes on."""
    own = open_page(printed(monitor, "open"), **NOBODY)
    shown(own)
    base = f"http://127.0.0.1:{monitor.port}/api/health/"
    asked: dict[str, int] = {}
    page = own.context.new_page()
    page.on("response", lambda answer: asked.update({answer.url: answer.status}))
    for path in GUARDED:
        page.goto(f"http://{host}:{elsewhere}/")
        mark = "&" if "?" in path else "?"
        for mode in ("cors", "no-cors"):
            script = "([url, mode]) => fetch(url, { credentials: 'include', mode }).then(() => 'read', () => 'refused')"
            assert page.evaluate(script, [f"{base}{path}", mode]) == "refused"
        framed = f"{base}{path}{mark}by=frame"
        with page.expect_response(framed):
            page.evaluate(
                "url => { const made = document.createElement('iframe'); made.src = url; document.body.append(made); }",
                framed,
            )
        gone = f"{base}{path}{mark}by=navigation"
        with page.expect_navigation(url=gone):
            page.evaluate("url => { location.href = url; }", gone)
    answered = {url: status for url, status in asked.items() if "by=" in url}
    assert len(answered) == 2 * len(GUARDED)
    assert set(answered.values()) == {401}
    own.reload()
    shown(own)


def test_another_origin_opens_no_session(monitor: Monitor, open_page: OpenPage, elsewhere: int) -> None:
    """A good code that is posted from there is refused, and not used up."""
    link = printed(monitor, "open")
    address, _, code = link.partition("#")
    own = open_page(address, **NOBODY)
    page = own.context.new_page()
    page.goto(f"http://127.0.0.1:{elsewhere}/")
    page.evaluate(
        "([url, body]) => fetch(url, { method: 'POST', body, mode: 'no-cors' }).catch(() => null)",
        [f"{address}session", code],
    )
    assert own.context.cookies() == []
    own.evaluate("link => { location.href = link; }", link)
    shown(own)
