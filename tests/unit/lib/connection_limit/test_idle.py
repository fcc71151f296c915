"""Which connections go: the longest idle, new ones and those in the middle of a request last."""

from __future__ import annotations

import pytest

from monitor.lib.connection_limit import Bounds
from monitor.lib.connection_limit.bounds import RESERVED_DESCRIPTORS
from monitor.lib.connection_limit.idle import REQUEST_SECONDS, IdleTimes, TrackedConnection, surplus

T = 1000.0


def silent(number: int, seconds: float) -> TrackedConnection:
    """Nothing was ever sent on it."""
    return TrackedConnection(number, number, seconds, seconds)


def answered(number: int, seconds: float) -> TrackedConnection:
    """Its last request was answered so long ago."""
    return TrackedConnection(number, number, seconds + 0.1, seconds)


def asking(number: int, client: float, server: float) -> TrackedConnection:
    """Its client sent something ``client`` seconds ago, and the server nothing since before that."""
    return TrackedConnection(number, number, client, server)


def closed(*observations: tuple[float, list[TrackedConnection]], bound: int) -> list[int]:
    """The numbers of those to close after the last of the observations, in order."""
    times = IdleTimes()
    for at, connections in observations:
        idle = times.observe(connections, at)
    return [connection.descriptor for connection in surplus(idle, bound)]


@pytest.mark.parametrize(
    ("caption", "observations", "gone"),
    [
        (
            "silent for longest, then answered long ago",
            [(T, [silent(1, 0), answered(2, 0), silent(3, 0)]), (T + 9, [silent(1, 9), answered(2, 7), silent(3, 8)])],
            [1, 3],
        ),
        ("what is observed for the first time stays", [(T, [silent(1, 9), silent(2, 8), silent(3, 7)])], []),
        (
            "what waited to be accepted is as young as what was accepted at once",
            [(T, [silent(1, 0), silent(2, 0)]), (T + 1, [silent(1, 1), silent(2, 1), asking(3, 5, 5.2)])],
            [1, 2],
        ),
        (
            "in the middle of a request, although its last answer was long ago",
            [
                (T, [silent(1, 0), silent(2, 0), answered(3, 0)]),
                (T + 9, [silent(1, 9), silent(2, 8), asking(3, 0.2, 9)]),
            ],
            [1, 2],
        ),
        (
            "one byte a second is no progress",
            [
                (T, [asking(1, 0.5, 0.6), silent(2, 0), silent(3, 0)]),
                (T + 9, [asking(1, 0.5, 9.6), silent(2, 6), silent(3, 5)]),
            ],
            [1, 2],
        ),
        (
            "an answer is progress, and the next request begins anew",
            [
                (T, [asking(1, 0.5, 0.6), silent(2, 0), silent(3, 0)]),
                (T + 9, [asking(1, 0.2, 0.3), silent(2, 6), silent(3, 5)]),
            ],
            [2, 3],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_which_goes(caption: str, observations: list[tuple[float, list[TrackedConnection]]], gone: list[int]) -> None:
    """Of three connections, one is kept."""
    assert closed(*observations, bound=1) == gone, caption


def test_a_request_that_is_never_answered_goes_whatever_the_bound() -> None:
    """A silent connection below the bound stays; a request that drips goes."""
    drips, waits = asking(1, 0.5, 60), silent(2, 60)
    seen = [(T, [asking(1, 0.5, 1), silent(2, 1)]), (T + 59, [drips, waits])]
    assert closed(*seen, bound=100) == [1]
    assert REQUEST_SECONDS < 59


def test_where_the_system_does_not_tell_the_first_observed_goes_first() -> None:
    """As on macOS."""
    older, newer = TrackedConnection(1, "a"), TrackedConnection(2, "b")
    assert closed((T, [older]), (T + 1, [newer, older]), (T + 2, [newer, older]), bound=1) == [1]


@pytest.mark.parametrize("open_files", [256, 1024, 4096, 1_000_000])
def test_the_bound_fits_the_limit_on_open_files(open_files: int) -> None:
    """With what the server accepts above it, and what else is open."""
    bounds = Bounds.within(open_files, 512)
    assert bounds.accepted + RESERVED_DESCRIPTORS <= open_files
    assert bounds.connections == {256: 144}.get(open_files, 512)
    assert bounds.connections < bounds.accepted
