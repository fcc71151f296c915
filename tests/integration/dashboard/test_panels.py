"""Each panel shows what the API says."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.support.browser import OpenPage, Raise
from tests.support.builders.page import calm, kafka_group
from tests.support.page_stage import Stage


def test_the_verdict_says_why(stage: Stage, open_page: OpenPage) -> None:
    """Fine; then what fails, by name and reason, worst first; in the tab's title as well."""
    page = open_page(stage.url)
    expect(page.locator("#verdict-word")).to_have_text("Healthy")
    expect(page.locator("#verdict-why")).to_have_text("All 21 checks are ok.")
    stage.world.turn("disk", "warning", "above_threshold")
    stage.world.turn("database", "error", "timeout")
    expect(page.locator("#verdict-word")).to_have_text("Unhealthy")
    expect(page.locator("#verdict-why")).to_contain_text("1 critical check fails: database (timeout)")
    expect(page.locator("#verdict-why")).to_contain_text("1 warning: disk (above threshold)")
    expect(page).to_have_title("1 problem · Health monitor")


def test_a_tile_tells_status_value_age_and_the_last_day(stage: Stage, open_page: OpenPage) -> None:
    """In words and shapes, not by colours alone."""
    page = open_page(stage.url)
    stage.world.turn("database", "error", "timeout")
    turned = page.locator('a.tile[data-check="database"]')
    expect(turned.locator(".tile-word")).to_have_text("Error")
    expect(turned.locator(".tile-reason")).to_have_text("timeout")
    expect(turned.locator("svg use").first).to_have_attribute("href", "#i-error")
    expect(turned.locator(".tile-value")).to_have_text(re.compile(r"^[\d.]+ m?s$"))
    expect(turned.locator(".tile-age")).to_have_text(re.compile(r"^(now|\d+ s)$"))
    expect(turned.locator(".spark-line")).to_have_attribute("d", re.compile("^M0 "))
    fine = page.locator('a.tile[data-check="cpu"]')
    expect(fine.locator("svg use").first).to_have_attribute("href", "#i-ok")
    expect(fine.locator(".tile-value")).to_have_text(re.compile(r"^[\d.]+%$"))


def test_workers_and_queues_are_a_matrix(stage: Stage, open_page: OpenPage) -> None:
    """A row for each worker, the worst first; a mark where it consumes a queue, with its state."""
    stage.world.workers[3] |= {"verdict": "stuck", "status": "error", "reason": "stuck"}
    stage.world.queues[1] |= {"verdict": "slow", "status": "warning", "reason": "slow", "pending_tasks": 196}
    stage.world.queues[2] |= {"verdict": "resting", "status": "ok", "reason": "resting"}
    page = open_page(stage.url)
    matrix = page.locator("#workers table")
    expect(matrix.locator("thead th")).to_have_count(8)
    expect(matrix.locator("tbody tr")).to_have_count(6)
    worst = matrix.locator("tbody tr").first
    expect(worst.locator("th")).to_have_text("web-3")
    expect(worst.locator(".state")).to_contain_text("stuck")
    expect(worst.locator("td.number").first).to_have_text("6.5 ms")
    expect(worst.locator("td.cell")).to_have_text(["stuck celery", "stuck mail", "no", "no"])
    expect(matrix.locator("th.queue").nth(1)).to_contain_text("slow")
    expect(matrix.locator("th.queue").nth(1)).to_contain_text("196 waiting")
    expect(matrix.locator("th.queue .word:not(.visually-hidden)")).to_have_text(["slow", "resting"])
    worst.locator("th a").click()
    expect(page.locator("#detail-title")).to_have_text("worker:celery@web-3")
    expect(page.locator(".detail-state")).to_have_text(re.compile("^error: stuck · for "))


def test_an_outdated_agent_is_named_beside_its_verdict(stage: Stage, open_page: OpenPage) -> None:
    """The worker stays ok and consuming. The title of its state names the older side."""
    stage.world.workers[2] |= {"verdict": "consuming", "status": "ok", "reason": "outdated", "outdated": "agent"}
    page = open_page(stage.url)
    row = page.locator("#workers tbody tr", has_text="outdated")
    expect(row.locator(".state")).to_have_text(re.compile("consuming, outdated"))
    expect(row.locator(".state")).to_have_attribute("title", re.compile("agent .* older than the monitor"))
    expect(page.locator("#workers-note")).not_to_contain_text("not ok")
    expect(page.locator("#verdict-word")).to_have_text("Healthy")


def test_without_a_worker_the_missing_line_is_named(stage: Stage, open_page: OpenPage) -> None:
    """Where it belongs too; also where queues are configured that nobody consumes."""
    stage.world.workers = []
    page = open_page(stage.url)
    empty = page.locator("#workers-body .empty:visible")
    expect(empty).to_contain_text("No worker is known.")
    expect(empty.locator("code")).to_have_text("monitor.install(app)")
    expect(page.locator("#workers table")).to_be_visible()
    stage.world.queues = []
    expect(page.locator("#workers table")).to_be_hidden()
    expect(empty.locator("code")).to_have_text("monitor.install(app)")


def test_a_moment_is_shown_as_a_time(stage: Stage, open_page: OpenPage) -> None:
    """A number of epoch seconds in a check's data, and not how many billions they are; other numbers as they are."""
    stage.world.more["database"] = {"ticking_since": stage.world.now, "lag_since": 12, "parts": {"seen_at": 1.7e9}}
    page = open_page(f"{stage.url}#check=database")
    fields = page.locator("table.fields")
    expect(fields.locator("tr", has_text="ticking since").locator("td")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d$"))
    expect(fields.locator("tr", has_text="lag since").locator("td")).to_have_text("12")
    expect(fields.locator("tr", has_text="parts").locator("td")).to_have_text(re.compile(r"seen at .*:\d\d$"))


def test_the_footer_says_since_when(stage: Stage, open_page: OpenPage) -> None:
    """To the second; roll-ups only where they reach further than the observations."""
    page = open_page(stage.url)
    expect(page.locator("#reach")).to_have_text(
        re.compile(r"^History: every observation since .*, roll-ups since .*\.$")
    )
    stage.reaches = {"raw": stage.world.now, "rollups": stage.world.now}
    expect(page.locator("#reach")).to_have_text(re.compile(r"^History: every observation since \d\d:\d\d:\d\d\.$"))


def test_partitions_are_listed_by_lag(stage: Stage, open_page: OpenPage) -> None:
    """With their owner, or nobody; and how uneven it is."""
    stage.world.groups = {
        "group:orders-kafka:billing": kafka_group(
            [3, 400, 2, 2, 1, 0], stage.world.now, "error", "skew_above_threshold"
        )
    }
    page = open_page(stage.url)
    group = page.locator("#kafka article")
    expect(group.locator("h3")).to_contain_text("error: skew above threshold")
    expect(group.locator("dl")).to_contain_text("5.88")
    rows = group.locator("tbody tr")
    expect(rows).to_have_count(6)
    expect(rows.first).to_have_text(re.compile(r"orders / 1\s*400\s*billing-2"))
    expect(rows.last).to_contain_text("no owner")


def test_without_kafka_there_is_no_panel_for_it(raise_stage: Raise, open_page: OpenPage) -> None:
    """Nor a link to one."""
    world = calm(5)
    world.groups = {}
    page = open_page(raise_stage(world).url)
    expect(page.locator("a.tile")).to_have_count(5)
    expect(page.locator("#kafka")).to_be_hidden()
    expect(page.locator('a[href="#kafka"]')).to_be_hidden()


def test_ninety_days_of_uptime(stage: Stage, open_page: OpenPage) -> None:
    """A row for each check: bars, and shares that are never rounded up."""
    page = open_page(stage.url)
    page.locator('a[href="#uptime"]').click()
    row = page.locator("#uptime tbody tr").filter(has_text="database").first
    expect(row.locator("td.number")).to_have_text([re.compile(r"^(100|\d\d\.\d\d)%$")] * 4 + ["80 d"])
    expect(row.locator("svg.bars title")).to_have_text(re.compile(r"^80 of the last 90 days observed, "))
    row.locator("svg.bars").hover(position={"x": 2, "y": 10})
    expect(row.locator("svg.bars title")).to_have_text(re.compile("nothing observed, 1 d not observed"))


def test_the_timeline_of_events(stage: Stage, open_page: OpenPage) -> None:
    """Newest first; one that happens now appears within seconds."""
    page = open_page(stage.url)
    events = page.locator("#events .event")
    expect(events.first).to_contain_text("database error → ok")
    stage.world.turn("redis", "error", "refused")
    expect(events.first).to_contain_text("redis ok → error refused")
    expect(events).to_have_count(len(stage.world.events))


def test_a_filter_by_words_and_by_status(stage: Stage, open_page: OpenPage) -> None:
    """By name, kind and reason; the address has it, so that it can be shared."""
    stage.world.turn("redis", "error", "refused")
    page = open_page(stage.url)
    expect(page.locator("a.tile")).to_have_count(21)
    page.keyboard.press("/")
    page.keyboard.type("refus")
    expect(page.locator("a.tile")).to_have_count(1)
    expect(page.locator("#checks-note")).to_have_text("1 of 21 checks")
    page.locator("#search").fill("")
    page.locator("button.chip", has_text="Error").click()
    expect(page.locator("a.tile .tile-name")).to_have_text(["redis"])
    shared = open_page(page.url)
    expect(shared.locator("a.tile .tile-name")).to_have_text(["redis"])
