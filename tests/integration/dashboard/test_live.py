"""The page follows what happens without being loaded again, and says when it does not know."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.support.browser import OpenPage, Raise
from tests.support.builders.page import calm
from tests.support.page_stage import Stage
from tests.support.processes import wait_for


def test_what_somebody_is_doing_is_left_alone(raise_stage: Raise, open_page: OpenPage) -> None:
    """A check turns: focus, selected text, scroll position and the very nodes stay as they were."""
    stage = raise_stage(calm(100))
    page = open_page(stage.url)
    expect(page.locator("a.tile")).to_have_count(101)
    page.evaluate("window.loadedOnce = true; window.firstTile = document.querySelector('a.tile')")
    page.locator('a.tile[data-check="reports-cpu-3"]').focus()
    page.evaluate(
        "() => { scrollTo(0, 700); getSelection().selectAllChildren(document.querySelector('#checks-title')) }"
    )
    stage.world.turn("reports-cpu-3", "error", "timeout")
    stage.world.workers.pop()
    expect(page.locator('a.tile[data-check="reports-cpu-3"] .tile-word')).to_have_text("Error")
    expect(page.locator("#workers tbody tr")).to_have_count(5)
    kept = "[loadedOnce, firstTile.isConnected, scrollY, `${getSelection()}`, document.activeElement.dataset.check]"
    assert page.evaluate(kept) == [True, True, 700, "Checks", "reports-cpu-3"]


def test_nothing_new_is_not_sent(stage: Stage, open_page: OpenPage) -> None:
    """The snapshot is asked for every two seconds with the ETag of the last, and 304 counts as an answer."""
    stage.world.frozen_at = stage.world.now
    page = open_page(stage.url)
    with page.expect_response(lambda response: "snapshot/" in response.url and response.status == 304):
        pass
    expect(page.locator("#live")).to_have_attribute("data-state", "live")


def test_the_server_goes_and_comes_back(stage: Stage, open_page: OpenPage) -> None:
    """What was green is not green any more; what expires meanwhile says so; then all is as before."""
    page = open_page(stage.url)
    expect(page.locator("#verdict-word")).to_have_text("Healthy")
    stage.close()
    expect(page.locator("#live")).to_have_attribute("data-state", "unreachable")
    expect(page.locator("#verdict-word")).to_have_text("Not known")
    expect(page.locator("#verdict")).to_have_attribute("data-status", "unknown")
    expect(page.locator("#verdict-why")).to_contain_text(
        re.compile(r"has not answered for \d+ s\. The status was healthy at ")
    )
    expect(page).to_have_title("No answer · Health monitor")
    stage.open()
    expect(page.locator("#verdict-word")).to_have_text("Healthy")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found"])
def test_another_view_answers_for_the_api(stage: Stage, open_page: OpenPage, status: str) -> None:
    """The page names the path and what to do, shows nothing as healthy, and continues when the API answers."""
    stage.front_end = status
    page = open_page(stage.url)
    notice = page.locator('#notices [data-kind="foreign"]')
    expect(notice).to_contain_text("Another view or a proxy answers the requests of this page.")
    expect(notice).to_contain_text(f"/api/health/snapshot/ returned {status[:3]} text/html, and not the JSON")
    expect(notice).to_contain_text("manage.py check")
    expect(page.locator("#verdict-word")).to_have_text("Not known")
    expect(page.locator("#verdict-why")).to_have_text("The API of the monitor cannot be reached at its path.")
    expect(page.locator("#live-text")).to_have_text("not the API")
    stage.front_end = None
    expect(page.locator("#verdict-word")).to_have_text("Healthy")
    expect(notice).to_have_count(0)
    stage.front_end = status  # such as a deployment of a wrong URLconf
    expect(notice).to_be_visible()
    expect(page.locator("#verdict-word")).to_have_text("Not known")


def test_results_expire_by_the_stores_clock(stage: Stage, open_page: OpenPage) -> None:
    """A server that says the same for ever does not stay green: nothing is believed beyond its time."""
    stage.world.frozen_at = stage.world.now - 22  # eight more seconds
    page = open_page(stage.url)
    expect(page.locator("#verdict-word")).to_have_text("Healthy")
    expect(page.locator("#verdict-word")).to_have_text("Unhealthy")
    expect(page.locator("#verdict-why")).to_contain_text("20 critical checks out of date")
    expect(page.locator('a.tile[data-check="cpu"]')).to_contain_text("Stale was ok")


def test_another_clock_than_the_browsers(stage: Stage, open_page: OpenPage) -> None:
    """Ages are by the store's clock, an hour ahead here."""
    stage.world.ahead = 3600
    page = open_page(stage.url)
    expect(page.locator('a.tile[data-check="cpu"] .tile-age')).to_have_text(re.compile(r"^(now|\d+ s)$"))
    expect(page.locator("#verdict-word")).to_have_text("Healthy")


def test_the_store_does_not_answer(stage: Stage, open_page: OpenPage) -> None:
    """Said plainly, and that history cannot be read; both end when it is back."""
    stage.world.answering = False
    page = open_page(stage.url)
    expect(page.locator("#notices")).to_contain_text("The store (Redis) does not answer.")
    expect(page.locator("#events-note")).to_contain_text("History cannot be read now")
    stage.world.answering = True
    expect(page.locator("#notices")).not_to_contain_text("does not answer")
    expect(page.locator("#events .event")).to_have_count(len(stage.world.events))


def test_there_is_no_history(stage: Stage, open_page: OpenPage) -> None:
    """The page works, and says what is missing."""
    stage.world.has_history = False
    page = open_page(stage.url + "#check=database")
    expect(page.locator("#notices")).to_contain_text("There is no history.")
    expect(page.locator("#verdict-word")).to_have_text("Healthy")
    expect(page.locator("#detail .note")).to_contain_text("There is no history of this period")


def test_logged_out_meanwhile(stage: Stage, open_page: OpenPage) -> None:
    """It says so, with a way to log in again."""
    page = open_page(stage.url)
    expect(page.locator("#verdict-word")).to_have_text("Healthy")
    stage.refuses = True
    expect(page.locator("#verdict-word")).to_have_text("Not known")
    expect(page.get_by_role("button", name="Log in")).to_be_visible()


def test_the_server_was_updated(stage: Stage, open_page: OpenPage) -> None:
    """A page of the older version offers to be loaded again."""
    page = open_page(stage.url)
    expect(page.locator("#verdict-word")).to_have_text("Healthy")
    stage.world.version = "2"
    page.get_by_role("button", name="Reload").click()
    expect(page.locator("#verdict-word")).to_have_text("Healthy")
    expect(page.get_by_role("button", name="Reload")).to_have_count(0)


def test_nobody_looks(stage: Stage, open_page: OpenPage) -> None:
    """A hidden tab asks nothing in ten minutes; shown again, it asks at once."""
    page = open_page(stage.url, clock=True)
    expect(page.locator("#verdict-word")).to_have_text("Healthy")
    hide = "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
    page.evaluate(f"{hide} document.dispatchEvent(new Event('visibilitychange')) }}", True)
    expect(page.locator("#live-text")).to_have_text("paused")
    page.wait_for_load_state("networkidle")  # what was under way has come to its end
    asked = len(stage.asked)
    page.clock.run_for(600_000)
    page.wait_for_load_state("networkidle")
    assert len(stage.asked) == asked
    page.evaluate(f"{hide} document.dispatchEvent(new Event('visibilitychange')) }}", False)
    wait_for(lambda: len(stage.asked) > asked, what="the next question")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
