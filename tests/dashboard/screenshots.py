"""`python -m tests.dashboard.screenshots`: the pictures in `docs/`, of made-up checks."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from tests.dashboard.conftest import FLAGS
from tests.dashboard.stage import Stage
from tests.dashboard.world import World, calm, kafka_group

DOCS = Path(__file__).parents[2] / "docs"
HOUR = 3600.0


def main() -> None:
    """Write them all."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "monitor.settings"
    os.environ["MONITOR_REDIS_URL"] = "redis://127.0.0.1:1/0"
    from monitor.wsgi import application_bound_to

    page_of = application_bound_to("127.0.0.1")
    fine, trouble = Stage(calm(48), page_of), Stage(in_trouble(), page_of)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)

        def shoot(name: str, url: str, *, width: int = 1600, height: int = 900, dark: bool = False) -> None:
            size: Any = {"width": width, "height": height}
            context = browser.new_context(viewport=size, color_scheme="dark" if dark else "light", locale="en-GB")
            page = context.new_page()
            page.goto(url)
            settle(page, "#check=" in url)
            page.screenshot(path=DOCS / name)
            context.close()

        past = trouble.world.now - 5.1 * HOUR
        shoot("dashboard.png", fine.url)
        shoot("dashboard-incident.png", f"{trouble.url}#check=orders-kafka", dark=True)
        shoot("dashboard-past.png", f"{trouble.url}#check=database&range=6h&at={past}")
        shoot("dashboard-phone.png", trouble.url, width=390, height=844)
        browser.close()
    for stage in (fine, trouble):
        stage.close()


def in_trouble() -> World:
    """A hot key: one partition of six, a stuck worker, a slow queue."""
    world = calm(48)
    world.checks["orders-kafka"] = "kafka_group"
    now = world.now
    world.turn("orders-kafka", "error", "skew_above_threshold")
    world.turn("disk", "warning", "above_threshold")
    for check in ("orders-kafka", "disk"):
        world.incidents[check][-1] = replace(world.incidents[check][-1], since=now - 1260)
        world.events[-1 if check == "disk" else -2]["at"] = now - 1260
    group = kafka_group([4210, 38, 22, 17, 9, 0], now, "error", "skew_above_threshold")
    world.groups = {"group:orders-kafka:billing": group}
    world.workers[2] |= {"verdict": "stuck", "status": "error", "reason": "stuck", "active": 8, "latency_ms": None}
    world.queues[3] |= {"verdict": "slow", "status": "warning", "reason": "slow", "latency_ms": 73_000.0}
    world.queues[3]["pending_tasks"] = 196
    return world


def settle(page: Page, has_detail: bool) -> None:
    """Wait until everything has been asked for and drawn."""
    expect(page.locator("a.tile").first).to_be_visible(timeout=60_000)
    expect(page.locator(".spark-line[d^=M]").first).to_be_attached(timeout=60_000)
    expect(page.locator("#events .event").first).to_be_attached(timeout=60_000)
    if has_detail:
        expect(page.locator("#detail canvas").first).to_be_visible(timeout=60_000)
        expect(page.locator("#detail .window").first).to_be_visible(timeout=60_000)
    page.wait_for_timeout(1500)


if __name__ == "__main__":
    main()
