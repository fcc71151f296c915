"""The past as it is written into a real server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from demo import past
from demo.history import HistoryWriter
from demo.shop import HISTORY
from demo.story import BILLING, Story, tell
from monitor.history.samples import DAY_SECONDS
from monitor.model.checks import Status
from monitor.presentation import history
from monitor.store.redis.store import RedisStore
from tests.support.redis_server import RedisServer

PREFIX = f"demo-{uuid.uuid4().hex[:12]}:"
NAMES = ("checkout-api", BILLING)


@pytest.fixture(scope="module")
def store(redis_server: RedisServer) -> RedisStore:
    """An empty one."""
    return RedisStore(redis_server.url, prefix=PREFIX)


@pytest.fixture(scope="module")
def writer(redis_server: RedisServer) -> Iterator[HistoryWriter]:
    """Writes into its history."""
    with redis_server.client() as client:
        yield HistoryWriter(client, PREFIX)


@pytest.fixture(scope="module")
def story(store: RedisStore, writer: HistoryWriter) -> Story:
    """A story whose past is in the store, of two of its checks."""
    now = store.states.now()
    told = tell(11, now, now + 60)
    past.record(told, store)
    for _ in past.fill(told, store, writer, NAMES):
        pass
    return told


@pytest.mark.parametrize("name", NAMES)
def test_uptime_adds_up(store: RedisStore, story: Story, name: str) -> None:
    """Ninety days: time down and incidents are those of the story, the gap is not observed, and all adds up."""
    since = story.began - 89 * DAY_SECONDS
    found = history.uptime_document(store.history, [name], {"89d": 89 * DAY_SECONDS}, story.began, day_count=90)
    window = found["checks"][name]["windows"]["89d"]
    errors = [each for each in story.spells[name] if each.status is Status.ERROR and since < each.until < story.began]
    assert window["seconds"]["error"] == pytest.approx(sum(each.until - each.since for each in errors), abs=0.01)
    assert window["incidents"] == len(errors) > 0
    assert window["seconds"]["unobserved"] == pytest.approx(story.gap[1] - story.gap[0], abs=0.01)
    assert sum(window["seconds"].values()) == pytest.approx(found["until"] - window["since"], abs=0.01)
    assert len(found["checks"][name]["days"]) == 90


def test_it_reaches_back(store: RedisStore, story: Story) -> None:
    """A day of single observations, three months of roll-ups."""
    reaches = store.history.reaches()
    assert reaches.raw is not None and DAY_SECONDS <= story.began - reaches.raw < DAY_SECONDS + 3600
    assert reaches.rollups is not None and story.began - reaches.rollups > 89 * DAY_SECONDS


def test_days_are_as_compaction_leaves_them(store: RedisStore, writer: HistoryWriter, story: Story) -> None:
    """A day that was put there at once reads like one that was compacted of single samples."""
    number = int(past.raw_begins(story) // DAY_SECONDS) - 8
    since, until = number * DAY_SECONDS, (number + 1) * DAY_SECONDS
    writer.add("copy", past.samples(story, "checkout-api", since - 3600, until))
    store.history.compact(store.states.now())
    found = store.history.rollups(["copy", "checkout-api"], since, until)
    assert len(found["copy"]) == 288
    assert list(found["copy"]) == list(found["checkout-api"])


def test_events_are_in_order(store: RedisStore, story: Story) -> None:
    """All changes of ninety days, oldest first, each from what the one before it left."""
    turns = [transition for _, transition in store.states.transitions(limit=1000)]
    assert [each.at for each in turns] == sorted(each.at for each in turns)
    left: dict[str, Status] = {}
    for each in turns:
        assert left.get(each.check, Status.OK) is each.old is not each.new
        left[each.check] = each.new
    assert len({each.id for each in turns}) == len(turns) > 40


def test_everybody_has_a_state(store: RedisStore, story: Story) -> None:
    """As they were left, so that what comes next is a change from that."""
    states = store.states.read().states
    assert set(HISTORY) <= set(states)
    assert all(state.status is Status.OK for state in states.values())
    assert states["catalog-api"].since == story.spells["catalog-api"][-1].until
