"""Reference implementation of history by brute force, second by second on raw samples, without buckets or blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from monitor.history.samples import HOLD_SECONDS, Sample
from monitor.model.checks import Status

M = 1_000_000
WORDS = ("ok", "warning", "error", "unknown")


@dataclass(frozen=True)
class Span:
    """Sample with the time (microseconds) for which it held."""

    sample: Sample
    begin: int
    end: int


def spans(samples: Sequence[Sample]) -> list[Span]:
    """Return the spans of samples in any order. For each moment the last one written counts."""
    by_time = {round(sample.at * M): sample for sample in samples}
    times = sorted(by_time)
    ends = [*times[1:], 2**62]
    return [
        Span(by_time[at], at, min(end, max(at + 1, round(by_time[at].valid_until * M)), at + HOLD_SECONDS * M))
        for at, end in zip(times, ends, strict=False)
    ]


def seconds(samples: Sequence[Sample], since: float, until: float) -> dict[str, float]:
    """Return the time in each status, and unobserved, between two moments."""
    begin, end = round(since * M), round(until * M)
    spent = dict.fromkeys(WORDS, 0)
    for span in spans(samples):
        spent[span.sample.status.value] += max(0, min(span.end, end) - max(span.begin, begin))
    spent["unobserved"] = end - begin - sum(spent.values())
    return {word: value / M for word, value in spent.items()}


def incidents(samples: Sequence[Sample], since: float, until: float) -> int:
    """Return the number of periods of errors between two moments."""
    begin, end = round(since * M), round(until * M)
    seen = [span.sample.status for span in spans(samples) if span.begin < end and span.end > begin]
    return sum(status is Status.ERROR for status, _ in groupby(seen))


def measured(samples: Sequence[Sample], name: str, since: float, until: float) -> list[float]:
    """Return the numbers of a series in [since, until)."""
    begin, end = round(since * M), round(until * M)
    return [s.sample.series[name] for s in spans(samples) if begin <= s.begin < end and name in s.sample.series]


def worst(samples: Sequence[Sample], since: float, until: float) -> Status | None:
    """Return the worst status between two moments."""
    begin, end = round(since * M), round(until * M)
    held = {span.sample.status for span in spans(samples) if span.begin < end and span.end > begin}
    order = (Status.ERROR, Status.UNKNOWN, Status.WARNING, Status.OK)
    return next((status for status in order if status in held), None)
