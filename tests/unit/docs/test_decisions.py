"""The decision records have one form, and what they list is what the code does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import monitor
from monitor.config import ChannelSpec, Config
from monitor.tasks import registration

ROOT = Path(__file__).parents[3]
DECISIONS = ROOT / "docs" / "decisions"
RECORDS = sorted(DECISIONS.glob("[0-9]*.md"))
HEADINGS = ["Context", "Decision", "Consequences"]
PACKAGE = Path(monitor.__file__).parent
TUPLES = {"_replace", "_asdict", "_fields", "_make"}
"""Methods of named tuples: public, whatever their names look like."""


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_record_has_the_form(record: Path) -> None:
    """File name, title, status and headings are those of docs/decisions/README.md."""
    text = record.read_text()
    number = re.fullmatch(r"(\d{4})-[a-z0-9-]+\.md", record.name)
    assert number
    assert re.match(
        rf"# {int(number[1])}\. \S.*\n\nStatus: (accepted|superseded by \S.*), \d{{4}}-\d\d-\d\d\n\n## ", text
    )
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings in (HEADINGS, [*HEADINGS, "Measured"])
    parts = re.split(r"^## .*$", text, flags=re.MULTILINE)
    assert all(part.strip() for part in parts)


def test_numbers_are_used_once() -> None:
    """A number stands for one record."""
    numbers = [record.name[:4] for record in RECORDS]
    assert len(numbers) == len({*numbers})


def test_decision_4_lists_the_beat_entries() -> None:
    """The table has each entry of a beat schedule, with its task."""
    record = next(DECISIONS.glob("0004-*.md")).read_text()
    listed = dict(re.findall(r"^\| `(celery-health-monitor[a-z-]*)` \| `([a-z._]+)` \|", record, re.MULTILINE))
    schedule = registration.beat_schedule(Config(channels={"log": ChannelSpec(name="log", kind="log")}))
    assert listed == {name: entry["task"] for name, entry in schedule.items()}


def test_private_interfaces_are_listed() -> None:
    """Each private name of a library that the code uses is in the record about them, with a test that there is."""
    record = next(DECISIONS.glob("*-private-interfaces-*.md")).read_text()
    rows = [line.split(" | ") for line in record.splitlines() if line.startswith("| `_")]
    listed = {name for row in rows for name in _PRIVATE.findall(row[0])}
    code = "".join(file.read_text() for file in PACKAGE.rglob("*.py"))
    assert {*_private_names()} <= listed
    assert [name for name in sorted(listed) if not re.search(rf"\b{name}\b", code)] == []
    tests = re.findall(r"`(tests/[\w/]+\.py)`", record)
    assert [name for name in tests if not (ROOT / name).exists()] == []


_PRIVATE = re.compile(r"(?<![A-Za-z0-9_])_[A-Za-z]\w*")


def _private_names() -> Iterator[str]:
    """Private attributes and modules that nothing in this package defines."""
    trees = [ast.parse(file.read_text()) for file in PACKAGE.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    own = {name for node in nodes for name in _defined(node)} | TUPLES | {"_exit"}
    for node in nodes:
        for name in _used(node):
            if _PRIVATE.fullmatch(name) and name not in own:
                yield name


def _defined(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            # What overrides a method of a library calls it, too, by `super()`.
            if name not in OVERRIDDEN:
                yield name
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
            yield name
        case ast.Attribute(attr=name, ctx=ast.Store()) if name.startswith(("_monitor", "_has_monitoring")):
            yield name


OVERRIDDEN = {"_ensure_connection", "_connparams", "_new_conn", "_build_transport"}
"""Private methods of libraries that the package overrides."""


def _used(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Attribute(attr=name):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if name in OVERRIDDEN:
            yield name
        case ast.Call(func=ast.Name(id="getattr" | "hasattr"), args=[_, ast.Constant(value=str(name)), *_]):
            yield name
        case ast.ImportFrom(module=str(module), names=names) if not module.startswith(("monitor", "__")):
            yield from module.split(".")
            yield from (alias.name for alias in names)
