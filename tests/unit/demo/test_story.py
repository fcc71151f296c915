"""The made-up shop by itself: pure functions of a seed and a time."""

from __future__ import annotations

from itertools import pairwise

import pytest

from demo import fleet, kafka, past
from demo.shop import CHECKS, HISTORY, QUEUES, WORKERS, numbers, outcome
from demo.story import BILLING, WEDGED, Story, tell
from monitor.config.loading import load
from monitor.history.blocks import decode_day, decode_samples, encode_day, encode_samples
from monitor.history.samples import DAY_SECONDS, MICRO, gather
from monitor.model.checks import Status
from monitor.policy.consumer_groups.lag import derive_lags
from tests.support.builders import NOW


@pytest.fixture(scope="module")
def story() -> Story:
    """One whose incident begins a minute after the start."""
    return tell(11, NOW, NOW + 60)


def test_a_seed_and_a_moment_decide_everything(story: Story) -> None:
    """The same again is the same to the last digit; another seed is another past."""
    again, other = tell(11, NOW, NOW + 60), tell(12, NOW, NOW + 60)
    assert again == story
    assert other.spells != story.spells
    for name in HISTORY:
        times = [NOW - 3600.0 * hours for hours in range(200)]
        assert [numbers(again, name, at) for at in times] == [numbers(story, name, at) for at in times]


def test_nothing_is_wrong_twice_at_once(story: Story) -> None:
    """Spells of a check follow one another, and none is where nobody looked."""
    for check, spells in story.spells.items():
        assert all(before.until <= after.since for before, after in pairwise(spells)), check
        assert all(spell.until <= story.gap[0] or spell.since >= story.gap[1] for spell in spells), check


def test_the_script(story: Story) -> None:
    """All is well at the start; then a worker wedges, another, the queue stands, the API fails; then all is well."""
    at = [NOW + 60 + seconds for seconds in (-30, 10, 130, 400)]
    verdicts = [{name: each.data.get("verdict") for name, each in fleet.outcomes(story, now).items()} for now in at]
    first, second = (f"worker:{WEDGED[place]}" for place in (1, 0))
    assert [each[first] for each in verdicts] == ["consuming", "wedged", "wedged", "consuming"]
    assert [each[second] for each in verdicts] == ["consuming", "consuming", "wedged", "consuming"]
    assert [each["queue:checkout"] for each in verdicts] == ["consumed", "consumed", "unconsumed", "consumed"]
    assert [outcome(story, "checkout-api", now)[0].status.value for now in at] == ["ok", "ok", "error", "ok"]
    assert [kafka.outcomes(story, now)[BILLING][0].reason for now in at] == [None, None, "skew", None]
    summaries = [fleet.outcomes(story, now)["workers"].status.value for now in at]
    assert summaries == ["ok", "warning", "error", "ok"]


def test_everything_can_be_told_at_any_time(story: Story) -> None:
    """Each check, worker, queue and group has something to say, also in the middle of what is wrong."""
    for at in [NOW - DAY_SECONDS * 80, *(NOW + step * 7.0 for step in range(70))]:
        for name in CHECKS:
            found, took = outcome(story, name, at)
            assert took >= 0 and (found.status is Status.OK) == (found.reason is None)
        told = fleet.outcomes(story, at)
        assert set(told) == {*(f"worker:{each}" for each in WORKERS), *(f"queue:{each}" for each in QUEUES), "workers"}


def test_partitions_add_up(story: Story) -> None:
    """The lag of a group is that of its partitions, the skew their max / mean, and each has an owner."""
    for at in (NOW - 5000, NOW + 60 + 100):
        found, _ = kafka.outcomes(story, at)[BILLING]
        rows = found.detail["partition_table"]
        assert found.data["lag"] == sum(row["lag"] for row in rows)
        assert found.data["skew_ratio"] == derive_lags(kafka.sight(story, BILLING, at), {}, 0).skew
        assert all(row["client_id"] and row["end"] - row["committed"] == row["lag"] for row in rows)
        assert (found.data["skew_ratio"] > 4) == (found.status is Status.ERROR)


@pytest.mark.parametrize("name", ["database", "checkout-api", "queue:checkout", BILLING, "workers"])
def test_blocks_come_back(story: Story, name: str) -> None:
    """An hour of samples and a day of roll-ups survive their encoding; samples are as single ones would be."""
    night = NOW - 8 * 3600
    some = past.samples(story, name, night, night + 3600)
    assert decode_samples(encode_samples(some)) == some == gather(some)
    number = int(NOW // DAY_SECONDS) - 30
    day = past.rolled_up(story, name, number)
    assert decode_day(encode_day(day), number * DAY_SECONDS) == day


def test_time_down_is_that_of_the_spells(story: Story) -> None:
    """Counted sample by sample, what was down is what the story says, to the microsecond."""
    for name in ("checkout-api", "redis", BILLING):
        for since in (NOW - 40 * DAY_SECONDS, past.raw_begins(story)):
            until = min(since + 20 * DAY_SECONDS, NOW)
            some = past.samples(story, name, since, until)
            down = sum(end - at for at, end, code in zip(some.at, some.ends(), some.codes, strict=True) if code == 3)
            said = sum(
                max(0.0, min(each.until, until) - max(each.since, since))
                for each in story.spells[name]
                if each.status is Status.ERROR
            )
            assert down == round(said * MICRO)


def test_the_configuration_is_one(tmp_path: object) -> None:
    """What the demo configures can be loaded, says what it is, and has every check of the shop."""
    from pathlib import Path

    from demo.present import PREFIX
    from demo.tree import prepare

    home = Path(str(tmp_path))
    prepare(home, seed=1, incident_in=0)
    config = load(file=home / "monitor.toml", environ={}).config
    assert set(config.checks) == set(CHECKS)
    assert config.key_prefix == PREFIX != "monitor:"
    assert "Demo data" in (config.web.banner or "")
