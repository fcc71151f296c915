"""How history lies in Redis, and how much of it is kept. See docs/decisions/0012.

=============================== ======================================================================================
key                             holds
=============================== ======================================================================================
``open:CHECK:HOUR``             a list of samples, one JSON line each, as they were written with the check's state
``open``                        which of these lists there are: ``CHECK|HOUR``, by the end of the hour
``raw:CHECK:HOUR``              an hour's samples, packed (`monitor.history.blocks`)
``roll:CHECK:DAY``              a UTC day's hours in five-minute buckets, packed
``blocks:raw``, ``blocks:roll`` which of these there are: ``CHECK|HOUR``, ``CHECK|DAY``, by HOUR or DAY, then size
``blocks``                      a hash: the bytes of all blocks, and what the last that had to go for the budget began
=============================== ======================================================================================

HOUR and DAY count from the epoch.
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
"""What one takes, about: of its list too."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long samples and roll-ups are kept, and what all of it may occupy. ``enabled``: whether any are written."""

    raw_seconds: float = float(DAY_SECONDS)
    rollup_seconds: float = 90.0 * DAY_SECONDS
    budget_bytes: int = 64 * 10**6
    enabled: bool = True

    @property
    def line_seconds(self) -> int:
        """How long samples wait to be packed, should nobody do it."""
        return int(self.raw_seconds) + 2 * HOUR_SECONDS


class HistoryKeys(NamedTuple):
    """The keys that are not of one check."""

    prefix: str
    open: str
    raw: str
    roll: str
    blocks: str

    @classmethod
    def of(cls, prefix: str) -> HistoryKeys:
        """All keys begin with ``prefix``."""
        return cls(prefix, f"{prefix}open", f"{prefix}blocks:raw", f"{prefix}blocks:roll", f"{prefix}blocks")

    def open_list(self, check: str, hour: int) -> str:
        """The list of an hour's samples."""
        return f"{self.prefix}open:{check}:{hour}"

    def raw_block(self, check: str, hour: int) -> str:
        """The block of an hour's samples."""
        return f"{self.prefix}raw:{check}:{hour}"

    def roll_block(self, check: str, day: int) -> str:
        """The block of a day's buckets."""
        return f"{self.prefix}roll:{check}:{day}"


def encode_line(sample: Sample) -> bytes:
    """A sample as it is first written: [microseconds, status code, valid for, reason, {series}], about 80 bytes."""
    at = micros(sample.at)
    reason = sample.reason and sample.reason[: codec.REASON_CHARACTERS]
    head = [at, CODES.get(sample.status, UNKNOWN), micros(sample.valid_until) - at, reason]
    raw = codec.dump([*head, dict(sample.series)])
    return raw if len(raw) <= LINE_LIMIT_BYTES else codec.dump([*head, {}])


def decode_lines(lines: Iterable[bytes]) -> Iterator[Sample]:
    """The samples; without what :func:`encode_line` does not make."""
    for line in lines:
        try:
            at, code, valid, reason, series = decoding.load(line, most_bytes=LINE_READ_BYTES)
            numbers = {decoding.text(name): float(value) for name, value in series.items()}
            if type(at) is not int or type(valid) is not int or type(code) is not int:
                continue
            decoding.moment(at / MICRO)
            if not -decoding.INTEGER_LIMIT < valid < decoding.INTEGER_LIMIT or not 0 <= code < len(STATUSES):
                continue
            yield Sample(at / MICRO, STATUSES[code], (at + valid) / MICRO, decoding.optional_text(reason), numbers)
        except decoding.BROKEN:
            continue
