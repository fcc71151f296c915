"""Keys and retention of history in Redis, and the codec for samples that are not packed yet. See docs/decisions/0012.

=============================== ========================================================================================
key                             value
=============================== ========================================================================================
``open:CHECK:HOUR``             list of samples as written with the check's state, one JSON line each
``open``                        sorted set of these lists: ``CHECK|HOUR``, sorted by the end of the hour
``raw:CHECK:HOUR``              an hour's samples, packed (`monitor.history.blocks`)
``roll:CHECK:DAY``              a UTC day's hours in five-minute buckets, packed
``blocks:raw``, ``blocks:roll`` sorted sets of these blocks: ``CHECK|HOUR``, ``CHECK|DAY``, sorted by time, then size
``blocks``                      hash: size of all blocks; hour and day before which blocks were deleted for the budget
=============================== ========================================================================================

HOUR and DAY are the numbers of hours and days since the Unix epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from monitor.history.samples import CODES, DAY_SECONDS, HOUR_SECONDS, MICRO, STATUSES, UNKNOWN, Sample, micros
from monitor.lib import decoding
from monitor.store import codec

TRANSITIONS_KEPT = 10_000
LINE_LIMIT_BYTES = 1024
LINE_READ_BYTES = 2000
LINE_BYTES = 100
"""Approximate memory that a line needs in its list."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Retention of samples and roll-ups, and their common memory budget. ``enabled`` is False if none are written."""

    raw_seconds: float = float(DAY_SECONDS)
    rollup_seconds: float = 90.0 * DAY_SECONDS
    budget_bytes: int = 64 * 10**6
    enabled: bool = True

    @property
    def line_seconds(self) -> int:
        """Return the time after which a list of samples expires if no process packs it, in seconds."""
        return int(self.raw_seconds) + 2 * HOUR_SECONDS


class HistoryKeys(NamedTuple):
    """The keys of history. Keys without a check's name are fields, the others are methods."""

    prefix: str
    open: str
    raw: str
    roll: str
    blocks: str

    @classmethod
    def of(cls, prefix: str) -> HistoryKeys:
        """Return the keys that begin with ``prefix``."""
        return cls(prefix, f"{prefix}open", f"{prefix}blocks:raw", f"{prefix}blocks:roll", f"{prefix}blocks")

    def open_list(self, check: str, hour: int) -> str:
        """Return the key of the list of an hour's samples."""
        return f"{self.prefix}open:{check}:{hour}"

    def raw_block(self, check: str, hour: int) -> str:
        """Return the key of the block of an hour's samples."""
        return f"{self.prefix}raw:{check}:{hour}"

    def roll_block(self, check: str, day: int) -> str:
        """Return the key of the block of a day's buckets."""
        return f"{self.prefix}roll:{check}:{day}"


def encode_line(sample: Sample) -> bytes:
    """Return a sample as a JSON line of about 80 bytes.

    The format is [time in microseconds, status code, duration of validity in microseconds, reason, {series}].
    """
    at = micros(sample.at)
    reason = sample.reason and sample.reason[: codec.REASON_CHARACTERS]
    head = [at, CODES.get(sample.status, UNKNOWN), micros(sample.valid_until) - at, reason]
    raw = codec.dump([*head, dict(sample.series)])
    return raw if len(raw) <= LINE_LIMIT_BYTES else codec.dump([*head, {}])


def decode_lines(lines: Iterable[bytes]) -> Iterator[Sample]:
    """Yield the decoded samples. Skip lines that :func:`encode_line` does not produce."""
    for line in lines:
        try:
            at, code, valid, reason, series = decoding.load(line, max_bytes=LINE_READ_BYTES)
            numbers = {decoding.text(name): float(value) for name, value in series.items()}
            if type(at) is not int or type(valid) is not int or type(code) is not int:
                continue
            decoding.moment(at / MICRO)
            if not -decoding.INTEGER_LIMIT < valid < decoding.INTEGER_LIMIT or not 0 <= code < len(STATUSES):
                continue
            yield Sample(at / MICRO, STATUSES[code], (at + valid) / MICRO, decoding.optional_text(reason), numbers)
        except decoding.BROKEN:
            continue
