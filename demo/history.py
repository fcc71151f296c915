"""Writes history that no check has observed: for the demonstration, and for benchmarks and tests."""

from __future__ import annotations

from collections.abc import Iterable

import redis

from monitor.history.blocks import encode_day
from monitor.history.rollups import RollupDay
from monitor.history.samples import DAY_SECONDS, HOUR_SECONDS, Sample
from monitor.store.redis.compaction import BLOCK_OVERHEAD_BYTES
from monitor.store.retention import HistoryKeys, Retention, encode_line

LINES_AT_ONCE = 1000
SIZES = 2**32
"""A block's place in its index is its hour or day times this, plus its size."""


class HistoryWriter:
    """Writes samples and days as the store would have written them itself, but many at once and without states.

    To be used by one process at a time, which may end anywhere: done again, the same write changes nothing.
    """

    def __init__(self, client: redis.Redis, prefix: str = "monitor:", retention: Retention = Retention()) -> None:  # noqa: B008 - frozen
        self._client, self._names, self._retention = client, HistoryKeys.of(prefix), retention

    def add(self, check: str, samples: Iterable[Sample]) -> None:
        """Write samples where those of results wait to be packed."""
        by_hour: dict[int, list[bytes]] = {}
        for sample in samples:
            by_hour.setdefault(int(sample.at // HOUR_SECONDS), []).append(encode_line(sample))
        for hour, lines in by_hour.items():
            key = self._names.open_list(check, hour)
            for start in range(0, len(lines), LINES_AT_ONCE):
                with self._client.pipeline() as pipe:
                    pipe.rpush(key, *lines[start : start + LINES_AT_ONCE])
                    pipe.expire(key, self._retention.line_seconds)
                    pipe.zadd(self._names.open, {f"{check}|{hour}": (hour + 1) * HOUR_SECONDS})
                    pipe.execute()

    def add_day(self, day: RollupDay, checks: Iterable[str]) -> None:
        """Write a day's roll-ups for each of these checks, in place of what there is. A day without samples is none."""
        if day.tail is None:
            return
        number, block, index = day.start // DAY_SECONDS, encode_day(day), self._names.roll
        expires_at = int(day.start + DAY_SECONDS + self._retention.rollup_seconds)
        members = {f"{check}|{number}": self._names.roll_block(check, number) for check in checks}
        before = self._client.zmscore(index, list(members))
        with self._client.pipeline() as pipe:
            grown = 0
            for (member, key), score in zip(members.items(), before, strict=True):
                size = len(block) + BLOCK_OVERHEAD_BYTES + len(member.encode())
                grown += size - int(score or 0) % SIZES
                pipe.set(key, block, exat=expires_at)
                pipe.zadd(index, {member: number * SIZES + size})
            pipe.hincrby(self._names.blocks, "bytes", grown)
            pipe.execute()
