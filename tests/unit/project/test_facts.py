"""Facts about a project, as text from one process to another."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils.functional import lazystr
from django.utils.safestring import mark_safe
from pydantic import SecretStr

from monitor.project import facts
from monitor.project.facts import ProjectFacts


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (timedelta(minutes=5), 300.0),
        (math.inf, math.inf),
        (Path("/var/lib"), "/var/lib"),
        (SecretStr("hunter2"), "hunter2"),
        (lazystr("late"), "late"),
        (mark_safe("safe"), "safe"),
        (("a", "b"), ["a", "b"]),
        ({"b", "a", "c"}, ["a", "b", "c"]),
        ({4: 60, "x": {"y": None}}, {4: 60, "x": {"y": None}}),
        ('a\'b\n"c"', 'a\'b\n"c"'),
        (b"\x00", b"\x00"),
        (True, True),
    ],
)
def test_values_of_settings_arrive_as_plain_values(value: object, arrives: object) -> None:
    """Keys may be numbers, as in `socket_keepalive_options`. Nothing of the project's code is needed to read them."""
    text = facts.encode(ProjectFacts("shop.settings", {"key": value}, {"broker_url": "redis://h"}, ("shop",)))
    assert "\n" not in text
    read = facts.decode(text)
    assert read.explicit["key"] == arrives
    assert type(read.explicit["key"]) is type(arrives)
    assert (read.settings_module, read.applications) == ("shop.settings", ("shop",))


@pytest.mark.parametrize("text", ["", "{", "None", "{'explicit': {}}", "__import__('os')", "[1]"])
def test_a_damaged_text_is_refused(text: str) -> None:
    """A file that another program has changed is no reason to fail, and never code to run."""
    with pytest.raises(ValueError, match=r"facts|malformed"):
        facts.decode(text)


def test_objects_are_not_plain() -> None:
    """A function among the transport options cannot be passed on."""
    assert facts.is_plain({"a": [1, None, {"b": "c"}]})
    assert not facts.is_plain({"a": [print]})
