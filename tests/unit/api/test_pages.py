"""Kept answers: for how long, and who renders."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count

from monitor.api.pages import Page, ProbeResponse
from tests.support.processes import wait_for


def numbered(numbers: Iterator[int]) -> ProbeResponse:
    return ProbeResponse(200, str(next(numbers)).encode(), "text/plain")


def test_an_answer_is_given_again_and_then_renewed() -> None:
    """The same object for a moment; another one without anybody asking for it to be another."""
    numbers = count()
    page = Page(lambda: numbered(numbers))
    first = page.current()
    assert page.current() is first
    wait_for(lambda: page.current() is not first, what="a renewed answer")


def test_nobody_waits_for_somebody_else_who_renders() -> None:
    """While one thread renders, the others are given what there is."""
    numbers, rendering, go_on = count(), threading.Event(), threading.Event()

    def render() -> ProbeResponse:
        answer = numbered(numbers)
        if answer.body == b"1":
            rendering.set()
            assert go_on.wait(10)
        return answer

    page = Page(render)
    page.current()
    slow: list[ProbeResponse] = []
    other = threading.Thread(target=lambda: slow.append(wait_for(lambda: _later(page), what="a second rendering")))
    other.start()
    assert rendering.wait(10)
    assert page.current().body == b"0"
    go_on.set()
    other.join()
    assert slow[0].body == b"1"


def test_a_page_whose_rendering_fails_is_rendered_again() -> None:
    """An error is the request's that met it, not the next one's."""
    answers = iter([ZeroDivisionError(), ProbeResponse(200, b"", "text/plain")])

    def render() -> ProbeResponse:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    page = Page(render)
    try:
        page.current()
    except ZeroDivisionError:
        assert page.current().status == 200
    else:
        raise AssertionError


def _later(page: Page) -> ProbeResponse | None:
    answer = page.current()
    return answer if answer.body != b"0" else None
