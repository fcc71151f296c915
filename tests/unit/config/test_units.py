"""Durations, sizes and lists as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.units import names, seconds, size_bytes

DURATIONS = {
    "a number": (10, 10), "a number in a text": ("10", 10), "milliseconds": ("500ms", 0.5), "a fraction": ("1.5s", 1.5),
    "minutes": ("5m", 300), "hours": ("2h", 7200), "days": ("1d", 86400), "with blanks": (" 5 m ", 300),
    "in capitals": ("10S", 10), "a timedelta": (timedelta(minutes=1), 60), "not ours to judge": ([1], [1]),
}  # fmt: skip
SIZES = {
    "a number": (10, 10), "bytes": ("10b", 10), "kilobytes": ("2kB", 2000), "megabytes": ("64MB", 64_000_000),
    "mebibytes": ("64MiB", 67_108_864), "a fraction": ("1.5 GB", 1_500_000_000), "not ours to judge": (None, None),
}  # fmt: skip


@pytest.mark.parametrize(("written", "meant"), DURATIONS.values(), ids=DURATIONS)
def test_durations(written, meant):
    """In seconds."""
    assert seconds(written) == meant


@pytest.mark.parametrize(("written", "meant"), SIZES.values(), ids=SIZES)
def test_sizes(written, meant):
    """In bytes."""
    assert size_bytes(written) == meant


@pytest.mark.parametrize("written", ["", "s", "-5s", "5 parsecs", "1e3", "5s5", "5,5s", "٣s", True])
def test_no_quantity(written):
    """Refused by both, with a word on what to write."""
    for parse in (seconds, size_bytes):
        with pytest.raises(ValueError, match="write a number of"):
            parse(written)


@given(st.floats(0, 1e6), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_durations_keep_their_value(number, unit):
    """A text with a unit is the number times the unit."""
    factor = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
    assert seconds(f"{number:.6f}{unit}") == pytest.approx(float(f"{number:.6f}") * factor)


def test_names():
    """Commas separate; a list stays one."""
    assert names("a, b,,c ") == ("a", "b", "c")
    assert names(["a,b"]) == ["a,b"]
