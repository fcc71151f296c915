"""The page over a real monitor: worker, beat, web and Redis, and a real check that turns."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import expect

from tests.support.browser import OpenPage
from tests.support.processes import free_port, wait_for
from tests.support.roles import Monitor, StartMonitor

TOML = """
[checks.door]
kind = "tcp"
host = "127.0.0.1"
port = {port}
interval = 1
timeout = 0.5

[checks.redis]
kind = "redis"
interval = 1
timeout = 0.5
"""
PATIENCE = 60_000  # two cores, and a whole monitor to start


@contextmanager
def listening(port: int) -> Iterator[None]:
    """Somebody takes connections there."""
    with socket.create_server(("127.0.0.1", port)):
        yield


def page_of(monitor: Monitor) -> str:
    """The address of the page."""
    return f"http://localhost:{monitor.port}/admin/monitoring/"


def test_a_real_check_turns_and_is_followed(start_monitor: StartMonitor, open_page: OpenPage) -> None:
    """Its tile, the verdict, the timeline and its chart, without a reload; then how it was before."""
    port = free_port()
    monitor = start_monitor(TOML.format(port=port))
    with listening(port):
        monitor.all_roles()
        monitor.wait_for_results("door", "redis", seconds=60)
        page = open_page(page_of(monitor) + "#check=door&range=1h")
        door = page.locator('a.tile[data-check="door"]')
        expect(door.locator(".tile-word")).to_have_text("OK", timeout=PATIENCE)
        expect(page.locator("#detail canvas").first).to_be_visible(timeout=PATIENCE)
        before = monitor.store.states.now()
    expect(door.locator(".tile-word")).to_have_text("Error", timeout=PATIENCE)
    expect(door.locator(".tile-reason")).to_have_text("refused")
    expect(page.locator("#verdict-word")).to_have_text("Unhealthy")
    expect(page.locator("#verdict-why")).to_contain_text("door (refused)")
    expect(page.locator("#detail .event").first).to_contain_text(re.compile("ok → error refused"), timeout=PATIENCE)
    expect(page.locator("#uptime tbody tr").filter(has_text="door")).to_have_count(1, timeout=PATIENCE)
    page.evaluate("at => location.hash = `#check=door&at=${at}`", before)
    expect(page.locator("#verdict-word")).to_have_text("Healthy then", timeout=PATIENCE)
    expect(door.locator(".tile-word")).to_have_text("OK")
    page.get_by_role("button", name="Back to now").click()
    expect(door.locator(".tile-word")).to_have_text("Error")
    with listening(port):
        expect(door.locator(".tile-word")).to_have_text("OK", timeout=PATIENCE)


def test_redis_freezes_and_is_back(start_monitor: StartMonitor, open_page: OpenPage) -> None:
    """The page says so and that history cannot be read, probes answer as ever; then all is as before."""
    port = free_port()
    with listening(port):
        monitor = start_monitor(TOML.format(port=port))
        monitor.all_roles()
        monitor.wait_for_results("door", "redis", seconds=60)
        page = open_page(page_of(monitor))
        expect(page.locator("#verdict-word")).to_have_text("Healthy", timeout=PATIENCE)
        monitor.redis.freeze()
        try:
            expect(page.locator("#notices")).to_contain_text("The store (Redis) does not answer.", timeout=PATIENCE)
            expect(page.locator('a.tile[data-check="redis"]')).to_contain_text("Error unreachable")
            expect(page.locator("#live")).to_have_attribute("data-state", "live")
            assert monitor.get("live")[0] == 200
        finally:
            monitor.redis.thaw()
        expect(page.locator("#notices")).not_to_contain_text("does not answer", timeout=PATIENCE)
        expect(page.locator("#verdict-word")).to_have_text("Healthy", timeout=PATIENCE)


def test_the_web_server_is_ended_and_started_again(start_monitor: StartMonitor, open_page: OpenPage) -> None:
    """As in a deploy: the page waits, and goes on with the new one."""
    monitor = start_monitor(TOML.format(port=free_port()))
    web = monitor.web()
    page = open_page(page_of(monitor))
    expect(page.locator("#live")).to_have_attribute("data-state", "live", timeout=PATIENCE)
    web.teardown()
    expect(page.locator("#verdict-word")).to_have_text("Not known", timeout=PATIENCE)
    monitor.web()
    expect(page.locator("#live")).to_have_attribute("data-state", "live", timeout=PATIENCE)
    wait_for(lambda: page.locator("#verdict-word").inner_text() != "Not known", what="a verdict")
