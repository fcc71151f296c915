"""One check: its charts, zoom, time travel, and links to all of it."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.support.browser import OpenPage
from tests.support.page_stage import Stage
from tests.support.processes import wait_for

HOUR = 3600.0
MOMENT = r"(\w{3},? \d{1,2} \w{3}, )?\d\d:\d\d:\d\d"  # with its day, unless that is today's


def chart(page: Page) -> dict[str, float]:
    """Where the chart's plot is on the screen."""
    plot = page.locator("#detail .u-over").first
    expect(plot).to_be_visible()
    box = plot.bounding_box()
    assert box is not None
    return {"left": box["x"], "middle": box["y"] + box["height"] / 2, "width": box["width"]}


def test_a_click_on_a_tile_shows_the_check(stage: Stage, open_page: OpenPage) -> None:
    """Its state, message, chart, uptime and changes; a link to it shows the same; Escape leads back to the tile."""
    stage.world.turn("database", "error", "timeout")
    page = open_page(stage.url)
    page.locator('a.tile[data-check="database"]').click()
    expect(page.locator("#detail-title")).to_be_focused()
    expect(page.locator(".detail-state")).to_have_text(re.compile(r"^error: timeout · for \d+ s · observed "))
    expect(page.locator(".detail-message")).to_have_text("database: timeout on db-1.internal:5432")
    expect(page.locator("#detail .u-over")).to_have_count(1)
    expect(page.locator("#detail .window")).to_have_count(4)
    expect(page.locator("#detail .event")).to_have_count(3)
    assert page.url.endswith("#check=database")
    linked = open_page(page.url)
    expect(linked.locator("#detail-title")).to_have_text("database")
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    expect(page.locator('a.tile[data-check="database"]')).to_be_focused()


def test_a_range_is_chosen_and_zoomed_into(stage: Stage, open_page: OpenPage) -> None:
    """Each asks the server again, which picks a finer step; the address keeps the range."""
    page = open_page(stage.url + "#check=database")
    expect(page.locator("#detail .note")).to_contain_text("Single observations")
    page.get_by_role("button", name="90d").click()
    expect(page.locator("#detail .note")).to_contain_text("Five-minute roll-ups")
    expect(page.locator("#detail .note")).to_contain_text("History begins")
    assert "range=90d" in page.url
    page.get_by_role("button", name="24h").click()
    expect(page.locator("#detail .note")).to_contain_text("a point for every 2 min 10 s")
    at = chart(page)
    page.mouse.move(at["left"] + at["width"] * 0.6, at["middle"])
    page.mouse.down()
    page.mouse.move(at["left"] + at["width"] * 0.7, at["middle"], steps=4)
    page.mouse.up()
    expect(page.locator("#detail .note")).to_contain_text("a point for every 20 s")
    page.get_by_role("button", name="Zoom out").click()
    expect(page.locator("#detail .note")).to_contain_text("a point for every 2 min 10 s")


def test_a_click_on_a_chart_travels_in_time(stage: Stage, open_page: OpenPage) -> None:
    """Everything as it was then, said unmistakably; by a button, by the browser's back, and by Escape to now."""
    page = open_page(stage.url + "#check=database")
    at = chart(page)
    ago = 5.05 * HOUR  # the database was in error then
    page.mouse.click(at["left"] + at["width"] * (1 - ago / (24 * HOUR)), at["middle"])
    expect(page.locator("#verdict-word")).to_have_text("Unhealthy then")
    expect(page.locator("#notices")).to_contain_text(re.compile(r"This is .*5 h \d min ago\."))
    expect(page.locator('a.tile[data-check="database"] .tile-word')).to_have_text("Error")
    expect(page.locator('a.tile[data-check="database"] .tile-age')).to_have_text("")
    expect(page).to_have_title("Past · Health monitor")
    then = page.url
    page.get_by_role("button", name="Back to now").click()
    expect(page.locator("#verdict-word")).to_have_text("Healthy")
    page.go_back()
    expect(page.locator("#verdict-word")).to_have_text("Unhealthy then")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.locator("#verdict-word")).to_have_text("Healthy")
    shared = open_page(then)
    expect(shared.locator("#verdict-word")).to_have_text("Unhealthy then")


def test_the_present_goes_on_while_the_past_is_shown(stage: Stage, open_page: OpenPage) -> None:
    """It is not shown as the past, and is there at once on return."""
    page = open_page(f"{stage.url}#at={stage.world.now - 2 * HOUR}")
    expect(page.locator("#verdict-word")).to_have_text("Healthy then")
    stage.world.turn("redis", "error", "refused")
    asked = len(stage.asked)
    wait_for(lambda: sum("snapshot" in each for each in stage.asked[asked:]) >= 2, what="two snapshots")
    expect(page.locator("#verdict-word")).to_have_text("Healthy then")
    page.get_by_role("button", name="Back to now").click()
    expect(page.locator("#verdict-word")).to_have_text("Unhealthy")


def test_a_moment_that_is_not_kept(stage: Stage, open_page: OpenPage) -> None:
    """It says so, and shows nothing else in its place."""
    page = open_page(f"{stage.url}#at={stage.world.now - 40 * HOUR}")
    expect(page.locator("#notices")).to_contain_text("History does not contain that moment.")
    expect(page.locator("#verdict-word")).not_to_have_text("Healthy")


def test_a_moment_from_the_timeline(stage: Stage, open_page: OpenPage) -> None:
    """The time of an event is a link to how everything was."""
    page = open_page(stage.url)
    page.locator("#events .event", has_text="ok → error").first.locator("a.event-time").click()
    expect(page.locator("#verdict-word")).to_have_text("Unhealthy then")


def test_by_keyboard_alone(stage: Stage, open_page: OpenPage) -> None:
    """From tile to tile, into one, along its chart, into the past and back."""
    page = open_page(stage.url)
    expect(page.locator("a.tile")).to_have_count(21)
    page.locator("a.tile").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("a.tile").nth(1)).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.locator("#detail-title")).to_be_focused()
    plot = page.locator("#detail [role=slider]")
    expect(plot.locator("canvas")).to_be_visible()
    plot.focus()
    page.keyboard.press("End")
    last = int(plot.get_attribute("aria-valuenow") or 0)
    page.keyboard.press("ArrowLeft")
    expect(plot).to_have_attribute("aria-valuetext", re.compile(rf"^{MOMENT} · .* · ok$"))
    assert int(plot.get_attribute("aria-valuenow") or 0) < last
    page.keyboard.press("Enter")
    expect(page.locator("#verdict-word")).to_have_text("Healthy then")


def test_a_check_that_is_not_there(stage: Stage, open_page: OpenPage) -> None:
    """A link of long ago says so."""
    page = open_page(stage.url + "#check=gone")
    expect(page.locator(".detail-state")).to_have_text("There is no check with this name.")
