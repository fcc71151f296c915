"""Events of one check in a long stream: what one request reads is bounded, and the cursor leads to all of them."""

from __future__ import annotations

from monitor.model.checks import Status, Transition
from monitor.presentation import history

STREAM = 100_000
RARE = (5, 60_000, 99_999)


class LongStream:
    """A store with many transitions of ``busy``, and a few of ``rare``; counts what is read."""

    def __init__(self) -> None:
        self.read = 0

    def transitions(self, *, after: str | None = None, limit: int = 100) -> list[tuple[str, Transition]]:
        """As a store does."""
        first = int(after) + 1 if after else 0
        found = [(str(number), _transition(number)) for number in range(first, min(STREAM, first + limit))]
        self.read += len(found)
        return found


def _transition(number: int) -> Transition:
    return Transition("rare" if number in RARE else "busy", number, Status.OK, Status.ERROR, float(number), None, "run")


def test_one_request_reads_a_bounded_part() -> None:
    """Of a check that has no events, too; and it says that there may be more."""
    for check in ("rare", "never"):
        stream = LongStream()
        found = history.read_events(stream, after=None, limit=100, check=check)
        assert stream.read <= history.EVENTS_READ
        assert found.more
        assert found.cursor is not None


def test_the_cursor_leads_to_all_of_them() -> None:
    """Each once and in order, and no event is read twice."""
    stream, found, cursor, more, requests = LongStream(), list[str](), None, True, 0
    while more:
        page = history.read_events(stream, after=cursor, limit=2, check="rare")
        found += [at for at, _ in page.events]
        cursor, more, requests = page.cursor, page.more, requests + 1
    assert found == [str(number) for number in RARE]
    assert stream.read <= STREAM + history.EVENTS_AT_A_TIME * requests


def test_all_events_are_read_as_far_as_asked() -> None:
    """Without a check there is nothing to look for."""
    stream = LongStream()
    assert len(history.read_events(stream, after=None, limit=1000).events) == 1000
    assert stream.read == 1001
