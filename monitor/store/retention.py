"""Keys of history in Redis, its retention, and the codec for samples that wait to be packed. See docs/decisions/0012.

=============================== ========================================================================================
key                             value
=============================== ========================================================================================
``open:CHECK:HOUR``             list of samples as written with the check's state, one JSON line each
``open``                        sorted set of these lists: ``CHECK|HOUR``, by the end of the hour
``raw:CHECK:HOUR``              an hour's samples, packed (`monitor.history.blocks`)
``roll:CHECK:DAY``              a UTC day's hours in five-minute buckets, packed
``blocks:raw``, ``blocks:roll`` sorted sets of these blocks: ``CHECK|HOUR``, ``CHECK|DAY``, by HOUR or DAY, then size
``blocks``                      hash: the size of all blocks, and the hour and day before which blocks were evicted
=============================== ========================================================================================

HOUR and DAY count from the Unix epoch.
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
"""Approximate memory of one line, with its share of the list."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Retention of samples and roll-ups, and the memory budget for both. ``enabled`` is False when none are written."""

    raw_seconds: float = float(DAY_SECONDS)
    rollup_seconds: float = 90.0 * DAY_SECONDS
    budget_bytes: int = 64 * 10**6
    enabled: bool = True

    @property
    def line_seconds(self) -> int:
        """Return the expiry in seconds of samples that no process packs."""
        return int(self.raw_seconds) + 2 * HOUR_SECONDS


class HistoryKeys(NamedTuple):
    """The history keys that do not depend on a check, and methods for those that do."""

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
    """Return a sample as it is first written, about 80 bytes of JSON.

    The format is [microseconds, status code, microseconds of validity, reason, {series}].
    """
    at = micros(sample.at)
    reason = sample.reason and sample.reason[: codec.REASON_CHARACTERS]
    head = [at, CODES.get(sample.status, UNKNOWN), micros(sample.valid_until) - at, reason]
    raw = codec.dump([*head, dict(sample.series)])
    return raw if len(raw) <= LINE_LIMIT_BYTES else codec.dump([*head, {}])


def decode_lines(lines: Iterable[bytes]) -> Iterator[Sample]:
    """Yield the decoded samples, without lines that :func:`encode_line` does not produce."""
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
