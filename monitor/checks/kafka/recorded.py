"""One query for the age of the recorded numbers, the unknown partitions and the lost records of a group."""

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
    """Age of the numbers by the clock of Prometheus (0 if unknown), lost records, and a remark (empty if none)."""

    age_seconds: float = 0.0
    loss: RecordLoss | None = None
    remark: str = ""


def read_recorded_facts(
    prometheus: Prometheus, expression: str, is_wanted: Callable[[QuerySample], bool]
) -> RecordedFacts:
    """Send ``expression``, made by :func:`recorded_facts_query`, and return the facts. Raises CheckFailed.

    Samples for which ``is_wanted`` returns False are ignored.
    """
    try:
        answer = prometheus.query(expression)
    except CheckFailed as failure:
        if failure.reason != "bad_query":
            raise
        return RecordedFacts(remark=AGE_UNKNOWN)
    values: defaultdict[str, list[QuerySample]] = defaultdict(list)
    for sample in answer.samples:
        if math.isfinite(sample.value) and is_wanted(sample):
            values[sample.labels.get("about", "").partition(" ")[0]].append(sample)
    age = max((sample.value for sample in values[AGE]), default=0.0)
    unknown = round(sum(sample.value for sample in values[UNKNOWN]))
    remark = f"{unknown} partition{'s' if unknown > 1 else ''} without a committed offset: lag unknown"
    return RecordedFacts(max(0.0, age), _loss(values[LOST]), remark if unknown else "")


def recorded_facts_query(series: Iterable[str], matcher: str, *, window: str, step: str) -> str:
    """Return one query for the age of each of the ``series``, the unknown partitions and the lost records of the group.

    ``matcher`` selects the group. Each sample has a label ``about`` with the name of the number.
    """
    ages = (
        _labelled(
            f"{AGE} {number}",
            f"time() - (max(timestamp({selector})) or max(max_over_time(timestamp({selector})[{window}:{step}])))",
        )
        for number, selector in enumerate(series)
    )
    unknown = _labelled(UNKNOWN, f"sum by (topic) ({UNKNOWN}{{{matcher}}})")
    lost = _labelled(LOST, f"max by (topic, partition) (max_over_time({LOST}{{{matcher}}}[{window}]))")
    return " or ".join((*ages, unknown, lost))


def _labelled(name: str, expression: str) -> str:
    return f'label_replace({expression}, "about", "{name}", "", "")'


def _loss(samples: Iterable[QuerySample]) -> RecordLoss | None:
    worst = max(samples, key=lambda sample: sample.value, default=None)
    if worst is None or worst.value < 2:  # a single lost record may be the marker at the end of a transaction
        return None
    number = worst.labels.get("partition", "")
    return RecordLoss(
        TopicPartition(worst.labels.get("topic", ""), int(number) if number.isdecimal() else -1),
        round(worst.value),
        0.0,
    )
