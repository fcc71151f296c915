"""Writes the story's past into the store: events, a day of single observations, and ninety days of roll-ups."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from math import inf, nan

from demo.history import HistoryWriter
from demo.shop import CHECKS, HISTORY, WORKERS, judged
from demo.story import HOUR, RAW_SECONDS, Change, Story
from monitor.history.rollups import RollupDay, empty_day, replace_hours
from monitor.history.samples import CODES, DAY_SECONDS, HOUR_SECONDS, MICRO, OK, Samples
from monitor.model.checks import Result, State, Status, Transition
from monitor.ports.store import Reducer, Store

RAW_STEP, FINE_STEP, COARSE_STEP = 20.0, 300.0, 1800.0
FINE_SECONDS = 8 * DAY_SECONDS
SPELL_STEP = 60.0


def record(story: Story, store: Store) -> None:
    """The states of everything as they were left, and the events of ninety days, in order."""
    names = [*HISTORY, *(f"worker:{name}" for name in WORKERS)]
    known = {name: _left(name, story) for name in names}
    _write(store, "left", {name: (state, ()) for name, state in known.items()})
    changes = sorted(
        (change for name in names for change in story.changes(name, story.began)), key=lambda each: each.at
    )
    for number, change in enumerate(changes):
        before = known[change.check]
        state = State(change.check, change.new, change.at, before.sequence + 1, _result(change))
        known[change.check] = state
        turn = Transition(change.check, state.sequence, change.old, change.new, change.at, "", change.reason)
        _write(store, f"change-{number}", {change.check: (state, (turn,))})


def fill(story: Story, store: Store, writer: HistoryWriter, names: Sequence[str] = HISTORY) -> Iterator[None]:
    """All of history, a piece at a time, the latest first. Done again, it writes the same."""
    raw_since = int(raw_begins(story))
    boundary = raw_since // DAY_SECONDS
    for name in names:
        writer.add_day(rolled_up(story, name, boundary), [name])
        yield
    # An hour of all checks at a time: hours of one check are of one block, which would be written by each of them.
    for hour in range(int(story.began // HOUR_SECONDS) * HOUR_SECONDS, raw_since - 1, -HOUR_SECONDS):
        for name in names:
            writer.add(name, samples(story, name, hour, min(hour + HOUR, story.began)))
            yield
        store.history.compact(store.states.now())
        yield
    for number in range(boundary - 1, int(story.since // DAY_SECONDS) - 1, -1):
        for name in names:
            writer.add_day(rolled_up(story, name, number), [name])
            yield


def raw_begins(story: Story) -> float:
    """From when on there are single observations: a whole hour, a day before the start."""
    return (story.began - RAW_SECONDS) // HOUR * HOUR + HOUR


def rolled_up(story: Story, name: str, number: int) -> RollupDay:
    """A UTC day since the epoch, or what of it is older than single observations."""
    start = number * DAY_SECONDS
    until = min(start + DAY_SECONDS, raw_begins(story))
    return replace_hours(empty_day(start), samples(story, name, max(start, story.since), until))


def samples(story: Story, name: str, since: float, until: float) -> Samples:
    """What was observed of a check in [since, until): often lately, less often before, and at every change."""
    times = moments(story, name, since, until)
    at, valid, codes, reasons = array("q"), array("q"), bytearray(), list[str | None]()
    _, first = judged(story, name, story.began)
    series = {key: array("d") for key in first}
    for time in times:
        spell, found = judged(story, name, time)
        at.append(round(time * MICRO))
        valid.append(round(_valid_until(story, time) * MICRO))
        codes.append(CODES[spell.status] if spell else OK)
        reasons.append(spell.reason if spell else None)
        for key, column in series.items():
            column.append(found.get(key, nan))
    return Samples(at, valid, bytes(codes), tuple(reasons), series)


def moments(story: Story, name: str, since: float, until: float) -> list[float]:
    """When a check was looked at."""
    found: set[float] = set()
    time = since
    while time < until:
        found.add(time)
        time += _step(story, time)
    spells = story.spells.get(name, ())
    edges = {story.gap[1], *(edge for spell in spells for edge in (spell.since, spell.until))}
    found |= {edge for edge in edges if since <= edge < until}
    for spell in spells:
        first = max(spell.since, since)
        while first < min(spell.until, until):
            found.add(first)
            first += SPELL_STEP
    return sorted(each for each in found if not story.gap[0] <= each < story.gap[1])


def _step(story: Story, at: float) -> float:
    if at >= raw_begins(story):
        return RAW_STEP
    return FINE_STEP if at >= story.began - FINE_SECONDS else COARSE_STEP


def _valid_until(story: Story, at: float) -> float:
    blind = story.gap[0] if at < story.gap[0] else inf
    return min(at + 3 * _step(story, at), blind)


def _left(name: str, story: Story) -> State:
    since = story.since if name in CHECKS else story.began - 6 * HOUR
    result = Result("", Status.OK, since, since + 30, 0.0)
    return State(name, Status.OK, since, int(since * 1000), result)


def _result(change: Change) -> Result:
    return Result("", change.new, change.at, change.at + 30, 0.0, reason=change.reason, message=change.message)


def _write(store: Store, what: str, states: dict[str, tuple[State, tuple[Transition, ...]]]) -> None:
    """States that are of the past: through the store's own way, but past its judgement."""
    flight = store.states.take("demo:past", f"past-{what}", lease_seconds=30)
    store.states.update_many(flight, {name: _as_it_was(each) for name, each in states.items()})
    store.states.release(flight)


def _as_it_was(said: tuple[State, tuple[Transition, ...]]) -> Reducer:
    return lambda _: said
