"""The file with what only the Celery application knows: used only while it is true."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from monitor.project import sources, stored_facts
from monitor.project.facts import ProjectFacts
from monitor.project.stored_facts import Origin

SETTINGS = ProjectFacts("shop.settings", {"queue": "x"}, {"broker_url": "redis://h/0"})
FOUND = ProjectFacts("shop.settings", {"queue": "x"}, {"broker_url": "redis://:hunter2@h/1"}, ("shop",))
APPLICATION = "shop.celery:app"
ORIGIN = Origin(APPLICATION, SETTINGS)


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that the project has imported."""
    file = tmp_path / "shop.py"
    file.write_text("QUEUE = 1")
    module = ModuleType("shop_of_this_test")
    module.__file__ = str(file)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return file


@pytest.fixture
def stored(tmp_path: Path, code: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with stored facts, which were read from a file of code and from an environment variable."""
    monkeypatch.setenv("SHOP_BROKER", "h")
    stored_facts.write(tmp_path, ORIGIN, FOUND, sources.encode({"SHOP_BROKER", "SHOP_MISSING"}))
    return tmp_path


def test_facts_are_read_while_nothing_has_changed(stored: Path) -> None:
    """They may contain a password, so only this user can read them."""
    assert stored_facts.read(stored, ORIGIN) == FOUND
    assert (stored / stored_facts.FILE).stat().st_mode & 0o777 == 0o600
    assert [file.name for file in stored.iterdir() if "facts" in file.name] == [stored_facts.FILE]


def test_a_changed_source_ends_their_validity(stored: Path, code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that changes, a variable that appears, and a file of code that is deployed."""
    with monkeypatch.context() as changed:
        changed.setenv("SHOP_BROKER", "other")
        assert stored_facts.read(stored, ORIGIN) is None
    with monkeypatch.context() as changed:
        changed.setenv("SHOP_MISSING", "there now")
        assert stored_facts.read(stored, ORIGIN) is None
    assert stored_facts.read(stored, ORIGIN) == FOUND
    code.write_text("QUEUE = 2")
    os.utime(code, ns=(1, 1))
    assert stored_facts.read(stored, ORIGIN) is None


def test_other_settings_or_another_application_have_other_facts(stored: Path) -> None:
    """The settings are read anew by each command."""
    other = ProjectFacts("shop.settings", {"queue": "y"}, {"broker_url": "redis://h/0"})
    assert stored_facts.read(stored, Origin(APPLICATION, other)) is None
    assert stored_facts.read(stored, Origin("shop.celery:other", SETTINGS)) is None


def test_facts_are_valid_for_a_day(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that is not known, such as a file that the settings read, may have changed."""
    later = time.time() + stored_facts.VALID_SECONDS + 1
    monkeypatch.setattr(stored_facts.time, "time", lambda: later)
    assert stored_facts.read(stored, ORIGIN) is None


@pytest.mark.parametrize("content", ["", "x\ny\nz\n", "{}\n{}\n{}\n", "\x00"])
def test_a_damaged_file_is_ignored(content: str, stored: Path) -> None:
    """Another version of the monitor may have written it."""
    (stored / stored_facts.FILE).write_text(content)
    assert stored_facts.read(stored, ORIGIN) is None


def test_a_missing_directory_is_no_error(tmp_path: Path) -> None:
    """The working directory of a project may not be writable."""
    missing = tmp_path / "missing"
    stored_facts.write(missing, ORIGIN, FOUND, "{}")
    assert stored_facts.read(missing, ORIGIN) is None


def test_the_text_for_the_store_contains_names_only() -> None:
    """Readers of the store need not know the password of the broker. The rest comes from the settings."""
    found = ProjectFacts(
        "shop.settings", {}, {"broker_url": "redis://:hunter2@h/1", "broker_queues": ["mail"]}, ("shop",)
    )
    origin = Origin(APPLICATION, SETTINGS, "redis://h/0 monitor:")
    text = stored_facts.encode(origin, found, sources.encode(set()))
    assert "hunter2" not in text
    read = stored_facts.decode(text, origin)
    assert read is not None
    assert read.derived == {"broker_url": "redis://h/0", "broker_queues": ["mail"]}
    assert (read.explicit, read.applications) == ({"queue": "x"}, ("shop",))
    assert stored_facts.decode(text, Origin(APPLICATION, SETTINGS, "redis://other/0 monitor:")) is None
