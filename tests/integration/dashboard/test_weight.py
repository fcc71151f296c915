"""How much is sent, and that watching for long costs no more than watching for a moment. Times: `bench/page.py`."""

from __future__ import annotations

from playwright.sync_api import CDPSession, Page, expect

from tests.support.browser import OpenPage, Raise
from tests.support.builders.page import calm

SENT = """() => [performance.getEntriesByType('navigation')[0], ...performance.getEntriesByType('resource')]
    .reduce((sum, each) => sum + each.transferSize, 0)"""


def test_a_hundred_checks_and_a_day_are_sent_in_300_kb(raise_stage: Raise, open_page: OpenPage) -> None:
    """Page, scripts, snapshot, overview, and ninety days of uptime besides."""
    page = open_page(raise_stage(calm(100)).url)
    expect(page.locator("a.tile")).to_have_count(101)
    page.locator('a[href="#uptime"]').click()
    expect(page.locator("#uptime tbody tr")).to_have_count(100)
    assert page.evaluate(SENT) < 300_000


def test_updates_leave_nothing_behind(raise_stage: Raise, open_page: OpenPage) -> None:
    """Checks turn, others are opened, charts are drawn anew: nodes, listeners and memory stay within bounds."""
    stage = raise_stage(calm(30))
    page = open_page(stage.url + "#check=database", clock=True)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable")
    names = list(stage.world.checks)

    def watch(polls: int) -> tuple[int, int, float]:
        for number in range(polls):
            stage.world.ahead += 2
            if number % 3 == 0:
                check = names[number % len(names)]
                fine = stage.world.status(check, stage.world.now)[0] == "ok"
                stage.world.turn(check, "error" if fine else "ok", "timeout")
                page.evaluate("check => location.hash = `#check=${check}`", check)
            with page.expect_response(lambda response: "snapshot/" in response.url):
                page.clock.run_for(2000)
        return weight(page, devtools)

    watch(60)  # what is kept at most (events, a chart) is there now
    nodes, listeners, heap = watch(30)
    more_nodes, more_listeners, more_heap = watch(90)
    assert more_nodes < nodes * 1.25
    assert more_listeners < listeners * 1.25
    assert more_heap < heap + 1.0


def weight(page: Page, devtools: CDPSession) -> tuple[int, int, float]:
    """Nodes, listeners and megabytes of JavaScript, once what is not used any more is gone."""
    devtools.send("HeapProfiler.collectGarbage")
    page.evaluate("gc()")
    metrics = {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}
    return int(metrics["Nodes"]), int(metrics["JSEventListeners"]), metrics["JSHeapUsedSize"] / 1e6
