"""A real Chromium, and pages in it that nothing may go wrong in unnoticed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from monitor.api import service as composition
from monitor.api.service import build
from monitor.store import MemoryStore
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
    "status of 503",
    "status of 400",
    "ERR_EMPTY_RESPONSE",
)
"""What the browser itself writes about answers that a test arranged."""

expect.set_options(timeout=30_000)

OpenPage = Callable[..., Page]
Raise = Callable[..., Stage]


def is_wrong(said: ConsoleMessage) -> bool:
    """Whether something is amiss; not that a project has not collected the admin's own static files."""
    about = said.text + said.location["url"]
    return said.type in ("error", "warning") and not any(part in about for part in ("/static/admin/", "/favicon.ico"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a window. Not for the session: while it is there, `asyncio.run` cannot be called."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or missing("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenPage]:
    """`open_page(url, width=..., height=..., dark=..., clock=...)`: a page of a profile of its own.

    It sends the token of the tests, unless ``extra_http_headers`` are given. With ``clock``, the test can let time
    pass in it (`page.clock`).
    The test fails when a script raised, or when anything was refused by the page's own security policy.
    """
    contexts: list[Any] = []
    wrong: list[str] = []

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: is_wrong(said) and wrong.append(said.text))

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
    """`raise_stage(world)`: the real page over a scripted API; pages send the token."""
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
    """Twenty checks, all fine."""
    return raise_stage()
