"""``make screenshots``: the pictures of the page in docs/images, from the demo, in a real Chromium."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Page, sync_playwright

from monitor.supervisor.preflight import listen_address

IMAGES = Path(__file__).parents[1] / "docs" / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
FLAGS += ["--disable-sync", "--no-first-run"]
FILLED_DAYS = 89.9
NARROW = 720
SCREEN = 1440, 860
CALM, UNDER_WAY = 3600.0, -60.0


class Served(NamedTuple):
    """The page's address, and the headers that authorise."""

    url: str
    headers: dict[str, str]


def main() -> None:
    """Take all of them: about two minutes."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=which("chromium") or which("chromium-browser"), args=FLAGS)
        with demo(CALM) as served:
            desktop(browser, served, "dashboard")
            desktop(browser, served, "dashboard-dark", dark=True)
            phone(browser, served, "dashboard-phone")
            detail(browser, served, "dashboard-check", "checkout-api")
        with demo(UNDER_WAY) as served:
            desktop(browser, served, "dashboard-incident", status="error", after=55)
        browser.close()


def desktop(
    browser: Browser, served: Served, name: str, *, dark: bool = False, status: str = "ok", after: float = 0
) -> None:
    """The page on a screen, so many seconds after the verdict is first seen to be of that status."""
    with page(browser, served, *SCREEN, dark=dark) as opened:
        opened.wait_for_selector(f"#verdict[data-status={status}]", timeout=300_000)
        opened.wait_for_timeout(1000 + after * 1000)
        shoot(opened, name)


def phone(browser: Browser, served: Served, name: str) -> None:
    """The page in a hand."""
    with page(browser, served, 390, 844) as opened:
        shoot(opened, name)


def detail(browser: Browser, served: Served, name: str, check: str) -> None:
    """A check, its charts and figures."""
    with page(browser, served, *SCREEN, fragment=f"#check={check}") as opened:
        opened.wait_for_selector("#detail canvas")
        opened.wait_for_timeout(1500)
        shoot(opened, name)


@contextmanager
def page(
    browser: Browser, served: Served, width: int, height: int, *, dark: bool = False, fragment: str = ""
) -> Iterator[Page]:
    """A page that has drawn everything."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        locale="en-GB",
        timezone_id="UTC",
        extra_http_headers=served.headers,
    )
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    opened.goto(served.url + fragment)
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
def demo(incident_in: float) -> Iterator[Served]:
    """A demo whose whole past is there; the page's address, and what proves that we may see it."""
    _, port = listen_address("127.0.0.1", 0)
    command = [sys.executable, "-m", "demo", "--port", str(port), "--incident-in", str(incident_in)]
    with (
        tempfile.TemporaryDirectory() as directory,
        subprocess.Popen(command, env={**os.environ, "TMPDIR": directory}) as process,
    ):
        try:
            deadline = time.monotonic() + 600
            while not _is_filled(port, Path(directory)):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("the demo does not come up")
                time.sleep(1)
            yield Served(f"http://127.0.0.1:{port}/admin/monitoring/", _headers(Path(directory)))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def _headers(directory: Path) -> dict[str, str]:
    token = next(directory.glob("monitor-demo-*/token")).read_text().strip()
    return {"Authorization": f"Bearer {token}"}


def _is_filled(port: int, directory: Path) -> bool:
    try:
        address = f"http://127.0.0.1:{port}/api/health/snapshot/"
        asked = urllib.request.Request(address, headers=_headers(directory))
        with urllib.request.urlopen(asked, timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
    except (OSError, StopIteration):
        return False
    since = found["reaches"]["rollups"]
    return since is not None and time.time() - since > FILLED_DAYS * 86_400


if __name__ == "__main__":
    main()
