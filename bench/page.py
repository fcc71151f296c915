"""The dashboard in a real Chromium: how soon it shows everything, what is sent, and whether an hour of it grows."""

from __future__ import annotations

import math
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import redis as redis_py
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from bench import rosters, servers
from bench.report import Claim, Report, Table
from bench.scale import Scale
from demo.history import HistoryWriter
from monitor import policy
from monitor.config import CheckSpec
from monitor.history.samples import HOUR_SECONDS, Sample
from monitor.model.checks import Result, Status
from monitor.store.redis.store import RedisStore

CHECKS = 100
POLLS = 1800
METHOD = (
    "The page in headless Chromium, 1920 x 1080, with an empty cache each time, from `monitor web` over a Redis with "
    "{checks} checks and a day of samples, one every {interval} s; all on one machine. Median of {loads} loads. "
    "*tiles*: when all of them have been painted; *everything*: with the line of the last day in each. Then the page "
    "is open on a check for an hour of its clock, which is turned by hand over a scripted API: {polls} polls, a check "
    "that turns every ten of them, another one opened every seven; memory and nodes after a garbage collection."
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run", "--js-flags=--expose-gc"]  # fmt: skip
SCREEN: Any = {"width": 1920, "height": 1080}
_WATCH = """window.seen = {};
new MutationObserver(() => {
  const note = (name, count) => count >= %d && !(name in seen) && (seen[name] = 0,
    requestAnimationFrame(() => requestAnimationFrame(() => { seen[name] = performance.now() })));
  note('tiles', document.querySelectorAll('a.tile').length);
  note('everything', document.querySelectorAll('.spark-line[d^=M]').length);
}).observe(document, {subtree: true, childList: true, attributes: true, attributeFilter: ['d']});"""
_SENT = """() => [performance.getEntriesByType('navigation')[0], ...performance.getEntriesByType('resource')]
    .reduce((sum, each) => sum + each.transferSize, 0)"""
_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"


def run(scale: Scale) -> Report:
    """Measure, in about four minutes (quick: half a minute)."""
    loads, polls, every = scale.pick(11, 3), scale.pick(POLLS, 60), scale.pick(10, 300)
    with _browser() as browser:
        with _served(every) as url:
            found = [_load(browser, url) for _ in range(loads)]
        with _stage() as stage:
            grown = list(_watch(browser, stage, polls))
    paint = Table("Until it is there, ms after the request", ("", "median", "worst"))
    for name in ("first contentful paint", "tiles", "everything"):
        paint.add(name, median(each[name] for each in found), max(each[name] for each in found))
    growth = Table("Open for an hour", ("after", "MB of JavaScript", "nodes", "listeners"))
    for number, heap, nodes, listeners in grown:
        growth.add(f"{number * 2 / 60:.0f} min", heap, float(nodes), float(listeners))
    claims = [
        Claim(
            "first contentful paint", median(each["first contentful paint"] for each in found), "at most", 1000, "ms"
        ),
        Claim("everything painted", median(each["everything"] for each in found), "at most", 1000, "ms"),
        Claim("sent for it", max(each["kB"] for each in found), "at most", 300, "kB"),
        Claim("more memory in the second half hour", grown[-1][1] - grown[len(grown) // 2][1], "at most", 0.5, "MB"),
    ]
    method = METHOD.format(checks=CHECKS, interval=every, loads=loads, polls=polls)
    return Report("page: the dashboard in a browser", method, [paint, growth], claims)


def _load(browser: Browser, url: str) -> dict[str, float]:
    context = browser.new_context(viewport=SCREEN, extra_http_headers=rosters.AUTHORIZED)
    page = context.new_page()
    page.add_init_script(_WATCH % CHECKS)
    page.goto(url)
    page.wait_for_function("() => seen.tiles && seen.everything", timeout=60_000)
    seen = page.evaluate("seen")
    result = {"first contentful paint": page.evaluate(_PAINT), **seen, "kB": page.evaluate(_SENT) / 1000}
    context.close()
    return result


def _watch(browser: Browser, stage: Any, polls: int) -> Iterator[tuple[int, float, int, int]]:
    context = browser.new_context(viewport=SCREEN, extra_http_headers=rosters.AUTHORIZED)
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
def _served(every: int) -> Iterator[str]:
    """The address of the page, of a real web role over a day of history."""
    with servers.directory() as directory, servers.redis_server() as redis:
        store, client = RedisStore(redis.url), redis_py.Redis.from_url(redis.url)
        for number in range(CHECKS):
            _fill(store, HistoryWriter(client), f"c{number:05d}", every)
        tables = rosters.NEVER_STALE + rosters.noop_checks(CHECKS, interval_seconds=10, groups='["ready"]')
        environment = rosters.environment(directory, redis.url, tables, history_memory="200MB")
        with servers.web(environment, servers.READY) as web:
            yield f"http://localhost:{urlsplit(web.url).port}/admin/monitoring/"


def _fill(store: RedisStore, writer: HistoryWriter, check: str, every: int) -> None:
    """A day of samples, packed, and a state that is good for long."""
    flight = store.states.take(check, uuid.uuid4().hex, lease_seconds=60)
    now, seed = flight.taken_at, sum(map(ord, check))
    times = [now - 86_400 + every * step for step in range(86_400 // every)]
    writer.add(
        check,
        (
            Sample(
                at, Status.OK, at + 3 * every, None, {"response_time_ms": round(9 + 4 * math.sin(at / 7000 + seed), 3)}
            )
            for at in times
        ),
    )
    store.history.compact(now + HOUR_SECONDS)
    result = Result(flight.run_id, Status.OK, now, now + 1e6, 9.5)
    spec = CheckSpec(name=check, kind="python", interval=10, timeout=5)
    store.states.update(flight, lambda before: policy.advance(before, result, spec))


@contextmanager
def _stage() -> Iterator[Any]:
    """A hundred checks that do as they are told."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "monitor.settings"
    os.environ.setdefault("MONITOR_REDIS_URL", "redis://127.0.0.1:1/0")
    os.environ["MONITOR_TOKEN"] = rosters.TOKEN
    from monitor.standalone.wsgi import application
    from tests.support.builders.page import calm
    from tests.support.page_stage import Stage

    stage = Stage(calm(CHECKS), application)
    yield stage
    stage.close()


@contextmanager
def _browser() -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        raise RuntimeError("chromium is not installed (see `make servers`)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()
