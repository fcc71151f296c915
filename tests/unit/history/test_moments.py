"""Times as people write them."""

from __future__ import annotations

import pytest

from monitor.history.moments import parse_moment, parse_span

READ_AT = 1_763_608_320.5


@pytest.mark.parametrize(
    ("text", "at"),
    [
        pytest.param("now", READ_AT, id="now"),
        pytest.param("", READ_AT, id="nothing is now"),
        pytest.param("-24h", READ_AT - 86_400, id="a day ago"),
        pytest.param("-1.5m", READ_AT - 90, id="a fraction"),
        pytest.param("1763608320.25", 1_763_608_320.25, id="epoch seconds"),
        pytest.param("2025-11-20T03:12:00Z", 1_763_608_320, id="UTC"),
        pytest.param("2025-11-20T03:12", 1_763_608_320, id="without an offset it is UTC"),
        pytest.param("2025-11-20T04:12:00+01:00", 1_763_608_320, id="an offset"),
        pytest.param("2025-11-20T04:12:00 01:00", 1_763_608_320, id="a plus sign that a query turned into a space"),
        pytest.param("2025-11-20", 1_763_596_800, id="a date"),
    ],
)
def test_moments(text: str, at: float) -> None:
    """Back from now, or absolute."""
    assert parse_moment(text, READ_AT) == at


@pytest.mark.parametrize(
    "text", ["yesterday", "-", "-h", "--1h", "-0s", "nan", "inf", "-99999999d", "1e20", "2025-13-01", "١٢", "1" * 400]
)
def test_what_is_no_moment(text: str) -> None:
    """The error says what to write."""
    with pytest.raises(ValueError, match="write a"):
        parse_moment(text, READ_AT)


def test_spans() -> None:
    """A duration is more than nothing."""
    assert parse_span("90d") == 90 * 86_400
    for text in ("0", "-5m", "soon", "", "inf"):
        with pytest.raises(ValueError, match="write a duration"):
            parse_span(text)
