"""Log lines for a terminal."""

from __future__ import annotations

import logging
import re

import pytest

from monitor.lib.log_lines import FirstResultFilter, LineRenderer, fit, text

AT = "2026-11-27T16:40:01.123456Z"


def line(event: dict[str, object]) -> str:
    """Return the line of an event of the monitor, without colours."""
    fields = {"level": "info", "logger": "monitor.tasks", "timestamp": AT, **event}
    return LineRenderer(colours=False)(None, "", fields)


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_a_line_has_the_time_the_level_the_event_and_its_fields() -> None:
    """Without the date, the logger and ids, which nobody reads on a terminal."""
    shown = line(
        {
            "event": "check.completed",
            "check": "orders",
            "status": "ok",
            "reason": None,
            "task_id": "5f0c",
            "transition": "x:1",
        }
    )
    assert re.fullmatch(r"\d\d:40:01 info  check\.completed check=orders status=ok", shown)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("duration_ms", 12.345, "duration=12.3ms"),
        ("duration_ms", 4567, "duration=4.57s"),
        ("retry_seconds", 30, "retry=30s"),
        ("retry_seconds", 900.0, "retry=15min"),
        ("kept_bytes", 64_000_000, "kept=64MB"),
        ("seconds", 2.5, "duration=2.5s"),
        ("checks", 12, "checks=12"),
        ("share", 0.123456789, "share=0.123457"),
        ("open", True, "open=True"),
        ("message", "no answer", "message='no answer'"),
        ("hint", "", "hint=''"),
    ],
)
def test_numbers_have_units(name: str, value: object, shown: str) -> None:
    """The unit is in the name of the field; on a terminal it follows the number."""
    assert text({"event": "e", name: value}) == f"e {shown}"


def test_a_long_line_is_cut() -> None:
    """It does not wrap, because wrapped lines cannot be read as a table."""
    shown = line({"event": "check.changed", "message": "x " * 100})
    assert len(shown) <= 80
    assert shown.endswith("…")


def test_a_long_warning_is_complete() -> None:
    """It continues on indented lines, at the borders of words."""
    message = " ".join(f"word{number}" for number in range(30))
    first, *others = line({"event": "store.unreachable", "level": "warning", "message": message}).splitlines()
    assert others
    assert max(len(each) for each in (first, *others)) <= 80
    assert all(each.startswith(" " * 15) for each in others)
    assert [word for word in " ".join((first, *others)).replace("'", "").split() if "word29" in word] == ["word29"]


def test_a_library_s_line_begins_with_its_name() -> None:
    """The first component of the name of the logger is enough."""
    assert line({"event": "mingle: all alone", "logger": "celery.worker.consumer"}).endswith(
        " info  celery: mingle: all alone"
    )


def test_a_traceback_follows() -> None:
    """On its own lines, complete."""
    shown = line({"event": "failed", "level": "error", "exception": "Traceback ...\n  ValueError: x"})
    assert shown.splitlines()[1:] == ["Traceback ...", "  ValueError: x"]


def test_without_a_terminal_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The width is then unknown."""
    monkeypatch.delenv("COLUMNS")
    assert len(line({"event": "e", "message": "x" * 500})) > 500
    assert fit("x" * 500, 0, continues=False) == "x" * 500


def test_a_warning_of_python_is_one_line() -> None:
    """Without the place in the code, and without the empty lines of its text."""
    event = "/usr/lib/python3/x.py:893: SecurityWarning: Do not run\nthis as root\n\n  warn()\n"
    shown = line({"event": event, "level": "warning", "logger": "py.warnings"})
    assert shown.endswith(" warn  SecurityWarning: Do not run this as root warn()")


def test_first_results_that_are_ok_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """At the start of `monitor up` they would move the link to the dashboard out of the terminal."""
    kept = FirstResultFilter().filter
    assert not kept(logging.makeLogRecord({"msg": {"event": "check.changed", "was": "unknown", "now": "ok"}}))
    assert kept(logging.makeLogRecord({"msg": {"event": "check.changed", "was": "unknown", "now": "error"}}))
    assert kept(logging.makeLogRecord({"msg": {"event": "check.changed", "was": "error", "now": "ok"}}))
    assert kept(logging.makeLogRecord({"msg": "was unknown"}))


def test_a_url_is_not_broken() -> None:
    """It can be copied from the terminal."""
    url = "http://127.0.0.1:8000/" + "x" * 80
    assert fit(f"open {url}", 70, continues=True) == f"open {url}"
