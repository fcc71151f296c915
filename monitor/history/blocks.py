"""Codec for blocks. A block is an hour of samples or a day of buckets, as bytes.

Encoding keeps samples exactly. It keeps the times and counts of buckets exactly, and seven digits of the numbers of
their series. Bytes that are not a valid block decode to None.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Collection, Sequence
from itertools import accumulate, pairwise
from math import isfinite, isnan, nan
from operator import add
from typing import Any

from monitor.history.buckets import Spreads, no_spreads
from monitor.history.joining import digest_of
from monitor.history.packing import BROKEN, Packed, pack
from monitor.history.rollups import BUCKET, DAY, HOUR, PER_DAY, PER_HOUR, Digest, HourHead, LastSample, RollupDay
from monitor.history.samples import ERROR, MICRO, Samples
from monitor.lib import decoding

DIGEST_BYTES = 68
"""Number of bytes at the beginning of a day's block that :func:`decode_digest` needs."""

_SAMPLES, _DAY = b"S1", b"D1"
_DIGEST = struct.Struct("<qBBqq4QI")
_CHECKSUM = struct.Struct("<I")
_SCALES = (1, 10, 100, 1000, 10**6)
_ABSENT = -(2**63)
_MAX_EXACT_INTEGER = 2**53
_EMPTY_SPREADS, _EMPTY_FLAGS = no_spreads(PER_DAY), array("B", bytes(PER_DAY))


def encode_samples(samples: Samples) -> bytes:
    """Return the block of these samples. There must be at least one sample."""
    reasons = list(dict.fromkeys(samples.reasons))
    places = {reason: place for place, reason in enumerate(reasons)}
    scales = {name: _scale(values) for name, values in samples.series.items()}
    columns: list[array[Any]] = [
        array("q", (after - before for before, after in pairwise((0, *samples.at)))),
        array("q", (until - at for at, until in zip(samples.at, samples.until, strict=True))),
        array("B", samples.codes),
        array("H", [places[reason] for reason in samples.reasons]),
        *(_scale_values(values, scales[name]) for name, values in samples.series.items()),
    ]
    return _SAMPLES + pack([len(samples), reasons, scales], columns)


def decode_samples(raw: bytes | None, names: Collection[str] | None = None) -> Samples | None:
    """Return the samples of a block. None for bytes that :func:`encode_samples` does not produce.

    Of the series, only those in ``names`` are returned, or all if ``names`` is None.
    """
    if not raw or not raw.startswith(_SAMPLES):
        return None
    try:
        packed = Packed(raw[len(_SAMPLES) :])
        count, reasons, scales = packed.header
        deltas, valid, codes, places = (packed.take(typecode, count) for typecode in "qqBH")
        if min(valid) <= 0 or min(deltas[1:], default=1) <= 0 or deltas[0] < 0 or max(codes) > ERROR:
            return None
        at = array("q", accumulate(deltas))
        decoding.moment(at[-1] / MICRO)
        until = array("q", map(add, at, valid))
        texts = [_optional_text(reason) for reason in reasons]
        series = {}
        for name, scale in scales.items():
            if names is None or name in names:
                series[decoding.text(name)] = _read_scaled(packed, count, scale)
            else:
                packed.skip("q", count)
        sample_reasons = tuple([texts[place] for place in places]) if len(texts) > 1 else (texts[0],) * count
        return Samples(at, until, codes.tobytes(), sample_reasons, series)
    except BROKEN:
        return None


def encode_day(day: RollupDay) -> bytes:
    """Return the block of a day. The day must have at least one rolled-up hour."""
    digest = digest_of(day)
    heads = [[hour, head.first_at, head.first_code, *head.tail] for hour, head in day.heads.items()]
    spreads = [column for each in day.series.values() for column in (each.count, each.low, each.mean, each.high)]
    columns: list[array[Any]] = [*day.times, day.began, array("B", day.goes_on), *spreads]
    header = [heads, list(day.series)]
    digest_bytes = _DIGEST.pack(digest.first_at, digest.first_code, *digest.tail, *digest.times, digest.began)
    return (
        _DAY
        + digest_bytes
        + _CHECKSUM.pack(zlib.crc32(digest_bytes))
        + pack(header, (_select_hours(column, day.heads) for column in columns))
    )


def decode_day(raw: bytes | None, start: int, *, with_series: bool = True) -> RollupDay | None:
    """Return the day of a block. None for bytes that :func:`encode_day` does not produce.

    ``start`` is the start of the day. If ``with_series`` is false, the day has no series.
    """
    if not raw or not raw.startswith(_DAY):
        return None
    try:
        packed = Packed(raw[DIGEST_BYTES:])
        rows, names = packed.header
        heads = {int(row[0]): _read_head(start, row) for row in rows}
        if not heads or not 0 <= min(heads) <= max(heads) < PER_DAY // PER_HOUR or list(heads) != sorted(heads):
            return None

        def column(empty: array[Any]) -> array[Any]:
            return _restore_hours(packed.take(empty.typecode, len(heads) * PER_HOUR), heads, empty)

        count, low, mean, high = _EMPTY_SPREADS.count, _EMPTY_SPREADS.low, _EMPTY_SPREADS.mean, _EMPTY_SPREADS.high
        ok, warning, unknown, error, began = (column(count) for _ in range(5))
        goes_on = column(_EMPTY_FLAGS).tobytes()
        series = {
            decoding.text(name): Spreads(column(count), column(low), column(mean), column(high))
            for name in (names if with_series else ())
        }
        if max(map(max, (ok, warning, unknown, error))) > BUCKET:
            return None
        if any(isnan(sum(each)) for spreads in series.values() for each in (spreads.low, spreads.mean, spreads.high)):
            return None
        return RollupDay(start, heads, (ok, warning, unknown, error), began, goes_on, series)
    except BROKEN:
        return None


def decode_digest(raw: bytes | None, start: int) -> Digest | None:
    """Return the digest of a day from the first ``DIGEST_BYTES`` of its block. None if these bytes are invalid.

    ``start`` is the start of the day.
    """
    if not raw or not raw.startswith(_DAY) or len(raw) < DIGEST_BYTES:
        return None
    (checksum,) = _CHECKSUM.unpack_from(raw, len(_DAY) + _DIGEST.size)
    if zlib.crc32(raw[len(_DAY) : len(_DAY) + _DIGEST.size]) != checksum:
        return None
    first_at, first_code, code, at, until, ok, warning, unknown, error, began = _DIGEST.unpack_from(raw, len(_DAY))
    if not 0 <= first_at - start * MICRO < DAY or ok + warning + unknown + error > DAY:
        return None
    if first_code > ERROR or code > ERROR or at >= until:
        return None
    return Digest(first_at, first_code, LastSample(code, at, until), (ok, warning, unknown, error), began)


def _scale(values: array[float]) -> int:
    """Return the smallest scale that makes all values integers when they are multiplied by it. 0 if there is none."""
    present = [value for value in values if not isnan(value)]
    if max(map(abs, present), default=0.0) * _SCALES[-1] >= _MAX_EXACT_INTEGER:
        return 0
    return next((scale for scale in _SCALES if all(round(v * scale) / scale == v for v in present)), 0)


def _scale_values(values: array[float], scale: int) -> array[Any]:
    return array("q", [_ABSENT if isnan(v) else round(v * scale) for v in values]) if scale else values


def _read_scaled(packed: Packed, count: int, scale: int) -> array[float]:
    if not scale:
        values = packed.take("d", count)
        if not all(isfinite(value) or isnan(value) for value in values):
            raise ValueError("infinite number")
        return values
    if scale not in _SCALES:
        raise ValueError("unknown scale")
    column = packed.take("q", count)
    if min(column) == _ABSENT:
        return array("d", [nan if number == _ABSENT else number / scale for number in column])
    return array("d", [number / scale for number in column])


def _select_hours(column: array[Any], hours: Collection[int]) -> array[Any]:
    """Return a column with only the buckets of these hours of the day."""
    if len(hours) == PER_DAY // PER_HOUR:
        return column
    selected = array(column.typecode)
    for hour in hours:
        selected.extend(column[hour * PER_HOUR : (hour + 1) * PER_HOUR])
    return selected


def _restore_hours(selected: array[Any], hours: Collection[int], empty: array[Any]) -> array[Any]:
    """Return the column of the entire day. The other hours get their buckets from ``empty``.

    Inverse of `_select_hours`.
    """
    if len(hours) == PER_DAY // PER_HOUR:
        return selected
    column = empty[:]
    first, last = min(hours), max(hours)
    if last - first + 1 == len(hours):
        column[first * PER_HOUR : (last + 1) * PER_HOUR] = selected
        return column
    for place, hour in enumerate(hours):
        column[hour * PER_HOUR : (hour + 1) * PER_HOUR] = selected[place * PER_HOUR : (place + 1) * PER_HOUR]
    return column


def _read_head(start: int, row: Sequence[int]) -> HourHead:
    hour, first_at, first_code, code, at, until = row
    begin = start * MICRO + hour * HOUR
    if not (begin <= first_at <= at < begin + HOUR and 0 <= first_code <= ERROR and 0 <= code <= ERROR and at < until):
        raise ValueError("sample outside of its hour")
    return HourHead(first_at, first_code, LastSample(code, at, until))


def _optional_text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError
    return decoding.optional_text(value)
