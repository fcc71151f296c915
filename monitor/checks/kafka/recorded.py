"""Query for facts about recorded numbers: their age, unknown partitions and lost records."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from monitor.checks.base import CheckFailed
from monitor.checks.prometheus import Prometheus, QuerySample
from monitor.model.consumer_groups import TopicPartition
from monitor.policy.consumer_groups.measurement import RecordLoss

UNKNOWN = "kafka:group_unknown_partitions"
LOST = "kafka:group_lost_records"
AGE_UNKNOWN = "the age of the numbers is not known: Prometheus rejected the query (bad_query)"
AGE = "age"


@dataclass(frozen=True, slots=True)
class RecordedFacts:
    """Age of the numbers, by the clock of Prometheus (0 if unknown), lost records, and a note if there is one."""

    age_seconds: float = 0.0
    loss: RecordLoss | None = None
    note: str = ""


def read_recorded_facts(
    prometheus: Prometheus, expression: str, is_wanted: Callable[[QuerySample], bool]
) -> RecordedFacts:
    """Return the result of a query of :func:`facts_query`, for the samples that ``is_wanted``. Raises CheckFailed."""
    try:
        answer = prometheus.query(expression)
    except CheckFailed as failure:
        if failure.reason != "bad_query":
            raise
        return RecordedFacts(note=AGE_UNKNOWN)
    values: defaultdict[str, list[QuerySample]] = defaultdict(list)
    for sample in answer.samples:
        if math.isfinite(sample.value) and is_wanted(sample):
            values[sample.labels.get("about", "").partition(" ")[0]].append(sample)
    age = max((sample.value for sample in values[AGE]), default=0.0)
    unknown = round(sum(sample.value for sample in values[UNKNOWN]))
    note = f"{unknown} partition{'s' if unknown > 1 else ''} without a committed offset: lag unknown"
    return RecordedFacts(max(0.0, age), _loss(values[LOST]), note if unknown else "")


def facts_query(series: Iterable[str], matcher: str, *, window: str, step: str) -> str:
    """Return the query for the age of each of these series, and the group's unknown partitions and lost records."""
    ages = (
        _named(
            f"{AGE} {number}",
            f"time() - (max(timestamp({each})) or max(max_over_time(timestamp({each})[{window}:{step}])))",
        )
        for number, each in enumerate(series)
    )
    unknown = _named(UNKNOWN, f"sum by (topic) ({UNKNOWN}{{{matcher}}})")
    lost = _named(LOST, f"max by (topic, partition) (max_over_time({LOST}{{{matcher}}}[{window}]))")
    return " or ".join((*ages, unknown, lost))


def _named(name: str, expression: str) -> str:
    return f'label_replace({expression}, "about", "{name}", "", "")'


def _loss(samples: Iterable[QuerySample]) -> RecordLoss | None:
    worst = max(samples, key=lambda sample: sample.value, default=None)
    if worst is None or worst.value < 2:  # a single one may be the marker at the end of a transaction
        return None
    number = worst.labels.get("partition", "")
    return RecordLoss(
        TopicPartition(worst.labels.get("topic", ""), int(number) if number.isdecimal() else -1),
        round(worst.value),
        0.0,
    )
