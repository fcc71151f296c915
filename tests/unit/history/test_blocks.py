"""What is packed comes back; what is no block is none."""

from __future__ import annotations

import zlib
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.history.blocks import DIGEST_BYTES, decode_day, decode_digest, decode_samples, encode_day, encode_samples
from monitor.history.joining import digest_of
from monitor.history.rollups import RollupDay, empty_day, replace_hours
from monitor.history.samples import DAY_SECONDS, Sample, gather
from tests.support.builders.samples import MIDNIGHT, make, samples


@settings(max_examples=200, deadline=None)
@given(past=samples())
def test_samples_come_back_exactly(past: list[Sample]) -> None:
    """Times, validity, statuses, reasons and every number, and what was not measured is absent."""
    before = gather(past)
    if not len(before):
        return
    after = decode_samples(encode_samples(before))
    assert after == before


@settings(max_examples=100, deadline=None)
@given(past=samples())
def test_days_come_back_exactly(past: list[Sample]) -> None:
    """All columns, whether the day has all its hours or one."""
    day = a_day(past)
    if not day.heads:
        return
    raw = encode_day(day)
    assert decode_day(raw, day.start) == day
    assert decode_digest(raw[:DIGEST_BYTES], day.start) == digest_of(day)
    assert decode_day(raw, day.start + DAY_SECONDS) is None
    assert decode_digest(raw, day.start - DAY_SECONDS) is None
    for place in range(DIGEST_BYTES):
        assert decode_digest(raw[:place] + bytes([raw[place] ^ 4]) + raw[place + 1 :], day.start) is None


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_broken_blocks_are_none(seed: int) -> None:
    """Cut short, or with bytes changed, before or behind the compression: no exception, and no nonsense."""
    chance, past = Random(seed), make(seed, 40)
    day = a_day(past)
    for raw, decode in (
        (encode_samples(gather(past)), decode_samples),
        (encode_day(day), lambda raw: decode_day(raw, day.start)),
    ):
        assert decode(raw[: chance.randrange(len(raw))]) is None
        broken = bytearray(raw)
        place = chance.randrange(DIGEST_BYTES, len(raw))
        broken[place] ^= 1 << chance.randrange(8)
        assert decode(bytes(broken)) in (None, decode(raw))  # some bits mean nothing
        head = 2 if raw.startswith(b"S") else DIGEST_BYTES
        plain = bytearray(zlib.decompress(raw[head:]))
        for _ in range(3):
            plain[chance.randrange(len(plain))] = chance.randrange(256)
        found = decode(raw[:head] + zlib.compress(plain))
        if found is not None:  # some numbers are as good as others
            assert len(list(found.heads if isinstance(found, RollupDay) else found)) <= 40


@pytest.mark.parametrize(
    "raw", [None, b"", b"S1", b"D1", b"S1" + b"x" * 50, b"D1" + b"\xff" * 60, zlib.compress(b""), b"[]"]
)
def test_what_was_never_a_block(raw: bytes | None) -> None:
    """Nothing, a beginning, garbage."""
    assert (decode_samples(raw), decode_day(raw, MIDNIGHT), decode_digest(raw, MIDNIGHT)) == (None, None, None)


@pytest.mark.parametrize("head", [b"S1", b"D1" + bytes(17)])
def test_a_block_that_unpacks_to_too_much(head: bytes) -> None:
    """A few kilobytes of zeros do not become a gigabyte."""
    bomb = head + zlib.compress(bytes(64 * 2**20))
    assert (decode_samples(bomb), decode_day(bomb, MIDNIGHT)) == (None, None)


def a_day(past: list[Sample]) -> RollupDay:
    """The first day of a past."""
    ordered = gather(past)
    start = int(ordered[0].at // DAY_SECONDS) * DAY_SECONDS if len(ordered) else MIDNIGHT
    return replace_hours(empty_day(start), ordered.within(start, start + DAY_SECONDS))
