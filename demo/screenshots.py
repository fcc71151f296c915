"""``make screenshots``: the pictures of the page in docs/images, from the demo, in a real Chromium."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from monitor.cli.up.preflight import check_port

IMAGES = Path(__file__).parents[1] / "docs" / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
FLAGS += ["--disable-sync", "--no-first-run"]
FILLED_DAYS = 89.9
NARROW = 720
SCREEN = 1440, 860
CALM, UNDER_WAY = 3600.0, -60.0


def main() -> None:
    """Take all of them: about two minutes."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=which("chromium") or which("chromium-browser"), args=FLAGS)
        with demo(CALM) as url:
            desktop(browser, url, "dashboard")
            desktop(browser, url, "dashboard-dark", dark=True)
            phone(browser, url, "dashboard-phone")
            detail(browser, url, "dashboard-check", "checkout-api")
        with demo(UNDER_WAY) as url:
            desktop(browser, url, "dashboard-incident", status="error", after=55)
        browser.close()


def desktop(browser: Browser, url: str, name: str, *, dark: bool = False, status: str = "ok", after: float = 0) -> None:
    """The page on a screen, so many seconds after the verdict is first seen to be of that status."""
    with page(browser, url, *SCREEN, dark=dark) as opened:
        opened.wait_for_selector(f"#verdict[data-status={status}]", timeout=300_000)
        opened.wait_for_timeout(1000 + after * 1000)
        shoot(opened, name)


def phone(browser: Browser, url: str, name: str) -> None:
    """The page in a hand."""
    with page(browser, url, 390, 844) as opened:
        shoot(opened, name)


def detail(browser: Browser, url: str, name: str, check: str) -> None:
    """A check, its charts and figures."""
    with page(browser, f"{url}#check={check}", *SCREEN) as opened:
        opened.wait_for_selector("#detail canvas")
        opened.wait_for_timeout(1500)
        shoot(opened, name)


@contextmanager
def page(browser: Browser, url: str, width: int, height: int, *, dark: bool = False) -> Iterator[Page]:
    """A page that has drawn everything."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        locale="en-GB",
        timezone_id="UTC",
    )
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    opened.goto(url)
    opened.wait_for_selector("#tiles li")
    if width > NARROW:  # else it is further down, and asked for once it is seen
        opened.wait_for_selector("#uptime-body svg")
    opened.wait_for_timeout(3000)
    yield opened
    context.close()


def shoot(opened: Page, name: str) -> None:
    """What is to be seen."""
    opened.screenshot(path=IMAGES / f"{name}.png")


@contextmanager
def demo(incident_in: float) -> Iterator[str]:
    """A demo whose whole past is there; the page's address."""
    _, port = check_port("127.0.0.1", 0)
    command = [sys.executable, "-m", "demo", "--port", str(port), "--incident-in", str(incident_in)]
    with subprocess.Popen(command) as process:
        try:
            deadline = time.monotonic() + 600
            while not _is_filled(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("the demo does not come up")
                time.sleep(1)
            yield f"http://127.0.0.1:{port}/admin/monitoring/"
        finally:
            process.send_signal(signal.SIGINT)


def _is_filled(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health/snapshot/", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
    except OSError:
        return False
    since = found["reaches"]["rollups"]
    return since is not None and time.time() - since > FILLED_DAYS * 86_400


if __name__ == "__main__":
    main()
