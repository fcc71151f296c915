"""For everybody: by a screen reader, in the dark, on a telephone, without colours."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.support.browser import OpenPage, Raise
from tests.support.builders.page import World, calm, kafka_group
from tests.support.page_stage import Stage


def eventful() -> World:
    """Something of everything."""
    world = calm(20)
    world.turn("database", "error", "timeout")
    world.turn("disk", "warning", "above_threshold")
    world.turn("search-http-1", "unknown", "not_observed")
    world.workers[1] |= {"verdict": "wedged", "status": "error", "reason": "wedged"}
    world.queues[0] |= {"verdict": "slow", "status": "warning", "reason": "slow"}
    group = kafka_group([400, 3, 2, 2, 1, 0], world.now, "error", "skew_above_threshold")
    world.groups = {"group:orders-kafka:billing": group}
    return world


def found(page: Page) -> list[dict[str, Any]]:
    """What axe has to object to, seriously."""
    violations = Axe().run(page).response["violations"]
    serious = [each for each in violations if each["impact"] in ("serious", "critical")]
    return [{"rule": each["id"], "nodes": [node["html"][:160] for node in each["nodes"]][:3]} for each in serious]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious(raise_stage: Raise, open_page: OpenPage, dark: bool) -> None:
    """In trouble, with a check open, in the past, and with the server gone."""
    stage = raise_stage(eventful())
    page = open_page(stage.url, dark=dark)
    page.locator('a[href="#uptime"]').click()
    expect(page.locator("#uptime tbody tr")).to_have_count(20)
    expect(page.locator("#verdict-word")).to_have_text("Unhealthy")
    assert found(page) == []
    page.locator('a.tile[data-check="database"]').click()
    expect(page.locator("#detail canvas")).to_be_visible()
    expect(page.locator("#detail .window")).to_have_count(4)
    assert found(page) == []
    page.locator("#detail .event a.event-time").first.click()
    expect(page.locator("#verdict-word")).to_have_text("Unhealthy then")
    assert found(page) == []
    page.get_by_role("button", name="Back to now").click()
    stage.close()
    expect(page.locator("#verdict-word")).to_have_text("Not known")
    assert found(page) == []


@pytest.mark.parametrize("width", [390, 768, 1280, 1920])
def test_nothing_is_wider_than_the_screen(raise_stage: Raise, open_page: OpenPage, width: int) -> None:
    """From a telephone to a wall; a check can be opened, and closed again, on all of them."""
    page = open_page(raise_stage(eventful()).url, width=width, height=844)
    expect(page.locator("#events .event").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator('a.tile[data-check="database"]').click()
    expect(page.locator("#detail canvas")).to_be_visible()
    box = page.locator("#detail").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert page.locator("#detail").evaluate("node => node.scrollWidth <= node.clientWidth")
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#detail")).to_be_hidden()


def test_axe_on_a_telephone(raise_stage: Raise, open_page: OpenPage) -> None:
    """The same page in one column."""
    page = open_page(raise_stage(eventful()).url, width=390, height=844)
    expect(page.locator("#verdict-word")).to_have_text("Unhealthy")
    assert found(page) == []


def test_only_a_new_verdict_is_announced(stage: Stage, open_page: OpenPage) -> None:
    """Politely, in words; not that ages have changed, nor numbers."""
    page = open_page(stage.url)
    announcer = page.locator("[role=status]")
    expect(announcer).to_have_text("Healthy.")
    page.evaluate(
        "() => { window.said = []; new MutationObserver(() => said.push(document.querySelector('[role=status]')"
        ".textContent)).observe(document.querySelector('[role=status]'), {childList: true, subtree: true}) }"
    )
    expect(page.locator('a.tile[data-check="cpu"] .tile-value')).not_to_have_text(
        page.locator('a.tile[data-check="cpu"] .tile-value').inner_text()
    )
    assert page.evaluate("said") == []
    stage.world.turn("database", "error", "timeout")
    expect(announcer).to_have_text("Unhealthy. 1 critical check fails: database.")
    assert page.locator("[aria-live], [role=status], [role=alert], [role=log]").count() == 1


def test_landmarks_and_tables(stage: Stage, open_page: OpenPage) -> None:
    """A way to each part of the page; numbers with headings for their rows and columns."""
    page = open_page(stage.url + "#check=database")
    expect(page.get_by_role("banner")).to_be_visible()
    expect(page.get_by_role("navigation", name="Sections")).to_be_visible()
    expect(page.get_by_role("main")).to_be_visible()
    expect(page.get_by_role("search")).to_be_visible()
    expect(page.get_by_role("complementary", name="database")).to_be_visible()
    for name in ("Checks", "Workers and queues", "Kafka consumer groups", "Uptime", "Events"):
        expect(page.get_by_role("region", name=name).first).to_be_attached()
    expect(page.get_by_role("columnheader", name="mail")).to_be_attached()
    expect(page.get_by_role("rowheader", name="web-1")).to_be_attached()


def test_the_theme_follows_the_system_until_it_is_chosen(stage: Stage, open_page: OpenPage) -> None:
    """And what was chosen is there from the first paint of the next visit on."""
    page = open_page(stage.url, dark=True)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert light != dark
    theme = page.locator("#theme")
    for name, colour in (("light", light), ("dark", dark)):
        theme.click()
        expect(theme).to_have_accessible_name(f"Theme: {name}")
        expect(page.locator("body")).to_have_css("background-color", colour)
    page.reload(wait_until="commit")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(theme).to_have_accessible_name("Theme: dark")
