"""Real Chromium, with pages whose errors make the test fail."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from monitor.api import service as composition
from monitor.api.service import build
from monitor.store.memory.store import MemoryStore
from tests.support.builders.page import World, calm
from tests.support.builders.values import check, config
from tests.support.page_stage import Stage
from tests.support.processes import missing
from tests.support.roles import AUTHORIZED, TOKEN

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--js-flags=--expose-gc",
]  # fmt: skip
EXPECTED = (
    "ERR_CONNECTION_REFUSED",
    "ERR_CONNECTION_RESET",
    "status of 401",
    "status of 403",
    "status of 404",
    "status of 503",
    "status of 400",
    "ERR_EMPTY_RESPONSE",
)
"""Messages that the browser itself writes text responses that a test arranged."""

expect.set_options(timeout=30_000)

OpenPage = Callable[..., Page]
Raise = Callable[..., Stage]


def is_wrong(message: ConsoleMessage) -> bool:
    """Return whether a message is an error. Missing static files of Django's admin are ignored."""
    text = message.text + message.location["url"]
    return message.type in ("error", "warning") and not any(part in text for part in ("/static/admin/", "/favicon.ico"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Provide Debian's Chromium without a window, for one module: while it runs, `asyncio.run` cannot be called."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or missing("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenPage]:
    """Provide `open_page(url, width=..., height=..., dark=..., clock=...)`: a page with a profile of its own.

    It sends the token of the tests, unless ``extra_http_headers`` are given. With ``clock`` the test controls the time
    in the page (`page.clock`).

    The test fails if a script raised an exception, or if the page's security policy refused anything.
    """
    contexts: list[Any] = []
    wrong: list[str] = []

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: is_wrong(message) and wrong.append(message.text))

    def open_(
        url: str, *, width: int = 1440, height: int = 900, dark: bool = False, clock: bool = False, **more: Any
    ) -> Page:
        scheme = "dark" if dark else "light"
        more = {"viewport": {"width": width, "height": height}, "extra_http_headers": AUTHORIZED, **more}
        contexts.append(chromium.new_context(color_scheme=scheme, locale="en-GB", **more))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        watch(page)
        if clock:
            page.clock.install()
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert [each for each in wrong if not any(text in each for text in EXPECTED)] == []


@pytest.fixture
def raise_stage(django_is_set_up: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Raise]:
    """Provide `raise_stage(world)`: the real page with a scripted API. Pages send the token."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "monitor.settings")
    from monitor.standalone.wsgi import Handler

    service = build(config(check("database"), token=TOKEN), connect=MemoryStore)
    monkeypatch.setattr(composition, "_services", [service])
    stages: list[Stage] = []

    def raise_(world: World | None = None) -> Stage:
        stages.append(Stage(world or calm(20), Handler()))
        return stages[-1]

    yield raise_
    for stage in stages:
        stage.close()
    service.refresher.stop()


@pytest.fixture
def stage(raise_stage: Raise) -> Stage:
    """Provide a stage with twenty checks, all ok."""
    return raise_stage()
