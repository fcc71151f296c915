"""The poison fuzz: its values, and its short form against a real set. `make soak ARGS=poison` is the whole of it."""

from __future__ import annotations

import pytest

from soak import poison
from soak.poison_http import parsed
from soak.poison_requests import request
from soak.poison_values import KINDS


def test_enough_values_of_enough_kinds() -> None:
    """What the issue asks for."""
    assert len({kind.name for kind in KINDS}) >= 24
    assert sum(kind.values for kind in KINDS) >= 2600
    assert poison.REQUESTS_SENT >= 20_000


def test_a_request_is_played_again_by_its_number() -> None:
    """The same bytes for the same seed and number."""
    assert [request(9, number) for number in range(50)] == [request(9, number) for number in range(50)]
    assert request(9, 1) != request(10, 1)


@pytest.mark.parametrize(
    "body", [b'{"a": NaN}', b'{"a": 1e999}', b'{"a": 1, "a": 2}', b'"\\ud800"', b"\xff", b"{", b"Infinity", b'["\x00"]']
)
def test_what_is_not_strict_json(body: bytes) -> None:
    """None of it passes for an answer."""
    with pytest.raises(ValueError):
        parsed(body)


def test_each_kind_once_and_some_requests() -> None:
    """Nothing ends, stands still, grows, or answers with what cannot be parsed."""
    assert poison.main(["--quick"]) == 0
