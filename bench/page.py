"""The dashboard in a real Chromium: how soon it shows everything, what is sent, and whether an hour of it grows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from bench.report import Claim, Report, Table
from bench.scale import Scale

CHECKS = 100
POLLS = 1800
METHOD = (
    f"The real page in headless Chromium, 1920 x 1080, an empty cache each time, over a scripted API with {CHECKS} "
    "checks and a day of history (tests/dashboard/stage.py), on one machine with it. Median of {loads} loads. "
    "*tiles*: when all of them have been painted; *all*: with the line of the last day in each. Then the page is open "
    "on a check for an hour of its clock, which is turned by hand: {polls} polls, a check that turns every ten of "
    "them, another one opened every seven; memory and nodes after a garbage collection."
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run", "--js-flags=--expose-gc"]  # fmt: skip
_WATCH = """window.seen = {};
new MutationObserver(() => {
  const note = (name, count) => count >= %d && !(name in seen) && (seen[name] = 0,
    requestAnimationFrame(() => requestAnimationFrame(() => { seen[name] = performance.now() })));
  note('tiles', document.querySelectorAll('a.tile').length);
  note('all', document.querySelectorAll('.spark-line[d^=M]').length);
}).observe(document, {subtree: true, childList: true, attributes: true, attributeFilter: ['d']});"""
_SENT = """() => [performance.getEntriesByType('navigation')[0], ...performance.getEntriesByType('resource')]
    .reduce((sum, each) => sum + each.transferSize, 0)"""
_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"


def run(scale: Scale) -> Report:
    """Measure, in about three minutes (quick: 15 s)."""
    loads, polls = scale.pick(10, 3), scale.pick(POLLS, 60)
    with _stage() as stage, _browser() as browser:
        found = [_load(browser, stage.url) for _ in range(loads)]
        grown = list(_watch(browser, stage, polls))
    paint = Table("Until it is there, in ms after the request", ("", "median", "worst"))
    for name in ("first contentful paint", "tiles", "all"):
        paint.add(name, median(each[name] for each in found), max(each[name] for each in found))
    growth = Table("Open for an hour", ("after", "MB of JavaScript", "nodes", "listeners"))
    for number, heap, nodes, listeners in grown:
        growth.add(f"{number * 2 / 60:.0f} min", heap, float(nodes), float(listeners))
    settled, last = grown[len(grown) // 2], grown[-1]
    claims = [
        Claim("everything painted", median(each["all"] for each in found), "at most", 1000, "ms"),
        Claim("sent for it", max(each["kB"] for each in found), "at most", 300, "kB"),
        Claim("memory in the second half hour", last[1] - settled[1], "at most", 0.5, "MB more"),
    ]
    return Report("page", METHOD.format(loads=loads, polls=polls), [paint, growth], claims)


def _load(browser: Browser, url: str) -> dict[str, float]:
    context = browser.new_context(viewport={"width": 1920, "height": 1080})
    page = context.new_page()
    page.add_init_script(_WATCH % CHECKS)
    page.goto(url)
    page.wait_for_function("() => seen.tiles && seen.all", timeout=60_000)
    seen = page.evaluate("seen")
    result = {"first contentful paint": page.evaluate(_PAINT), **seen, "kB": page.evaluate(_SENT) / 1000}
    context.close()
    return result


def _watch(browser: Browser, stage: Any, polls: int) -> Iterator[tuple[int, float, int, int]]:
    context = browser.new_context(viewport={"width": 1920, "height": 1080})
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    devtools.send("Performance.enable")
    page.clock.install()
    page.goto(f"{stage.url}#check=database")
    page.wait_for_selector("#detail canvas")
    names = list(stage.world.checks)
    for number in range(1, polls + 1):
        stage.world.ahead += 2
        if number % 10 == 0:
            check = names[number // 10 % CHECKS]
            fine = stage.world.status(check, stage.world.now)[0] == "ok"
            stage.world.turn(check, "error" if fine else "ok", "timeout")
        if number % 7 == 0:
            page.evaluate("check => location.hash = `#check=${check}`", names[number % CHECKS])
        with page.expect_response(lambda response: "snapshot/" in response.url):
            page.clock.run_for(2000)
        if number % max(1, polls // 6) == 0:
            yield number, *_weight(page, devtools)
    context.close()


def _weight(page: Page, devtools: CDPSession) -> tuple[float, int, int]:
    devtools.send("HeapProfiler.collectGarbage")
    page.evaluate("gc()")
    metrics = {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}
    return metrics["JSHeapUsedSize"] / 1e6, int(metrics["Nodes"]), int(metrics["JSEventListeners"])


@contextmanager
def _browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        raise RuntimeError("chromium is not installed (see `make servers`)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def _stage() -> Iterator[Any]:
    import os

    os.environ["DJANGO_SETTINGS_MODULE"] = "monitor.settings"
    from monitor.wsgi import application_bound_to
    from tests.dashboard.stage import Stage
    from tests.dashboard.world import calm

    stage = Stage(calm(CHECKS), application_bound_to("127.0.0.1"))
    yield stage
    stage.close()
