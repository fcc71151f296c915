"""docs/events.md names every event that the code logs, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import monitor

PACKAGE = Path(monitor.__file__).parent
DOCUMENT = PACKAGE.parent / "docs" / "events.md"
LEVELS = {"debug", "info", "warning", "error", "exception"}


def logged_events() -> Iterator[str]:
    """First arguments of calls on a module's ``log``, the events of a run, and those of ``log_unavailable``.

    The agent speaks in the users' own logs, in sentences: it is not looked at.
    """
    for file in (file for file in PACKAGE.rglob("*.py") if PACKAGE / "agent" not in file.parents):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=logger, attr=level), args=[ast.Constant(value=str(event)), *_]
                ) if level in LEVELS and _is_log(logger):
                    yield event
                case ast.Call(func=ast.Name(id="Run"), args=[_, ast.Constant(value=str(event)), *_]):
                    yield f"check.{event}"
                case ast.Call(
                    func=ast.Name(id="PeriodicValue") | ast.Attribute(attr="__init__"),
                    args=[ast.Constant(value=str(event)), *_],
                ) if event.endswith("_read"):
                    yield event
                case ast.Call(func=ast.Name(id="NotCompleted"), args=[ast.Constant(value=str(event)), _]):
                    yield f"check.{event}"
                case ast.Call(func=ast.Name(id="log_unavailable"), args=[ast.Constant(value=str(event)), *publisher]):
                    yield f"{event}.store_unavailable"
                    if publisher:
                        yield f"{event}.broker_unavailable"


def _is_log(node: ast.expr) -> bool:
    match node:
        case ast.Name(id="log") | ast.Call(func=ast.Attribute(attr="get_logger")):
            return True
    return False


def test_every_event_is_documented() -> None:
    """A new event has its row; a removed one has none."""
    documented = re.findall(r"^\| `([a-z_.]+)` \|", DOCUMENT.read_text(), re.MULTILINE)
    assert sorted(documented) == sorted(set(logged_events()))
