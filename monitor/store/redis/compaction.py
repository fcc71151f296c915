"""Compaction of history: packs waiting lines into blocks, rolls them up, and trims history to its limits.

Each step reads values, computes new blocks in this process, and writes them with one script. The script writes nothing
if a value has changed since it was read. So a step may be interrupted and repeated, and if two processes do the same
step, only one of them writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from monitor.agent.protocol import Keys
from monitor.history.blocks import decode_day, decode_samples, encode_day, encode_samples
from monitor.history.packing import LIMIT_BYTES
from monitor.history.rollups import add_waiting_samples, empty_day
from monitor.history.samples import DAY_SECONDS, HOUR_SECONDS, gather, merge
from monitor.ports.history import CompactionResult
from monitor.store.redis.connection import Argument, RedisConnection
from monitor.store.rejected import RejectedValues
from monitor.store.retention import LINE_BYTES, HistoryKeys, Retention, decode_lines

ENOUGH_LINES = 32
"""A list of this length is packed before its hour is over. Packed samples need a tenth of the memory, and short lists
are read faster."""
LISTS_PER_FETCH = 20
LISTS_PER_PASS = 500
PASSES = 200
BLOCKS_PER_TRIM = 500
CHECKS_PER_FORGET = 10
BLOCK_OVERHEAD_BYTES = 250  # for a key, its expiry and its index entry, measured on Redis 7.0


class _WaitingList(NamedTuple):
    """The list of a check's samples of one hour that are not packed yet. ``hour`` counts from the Unix epoch."""

    check: str
    hour: int

    @property
    def day(self) -> int:
        return self.hour * HOUR_SECONDS // DAY_SECONDS


class _NewBlocks(NamedTuple):
    """The new block of samples (``raw``) and the new block of roll-ups (``roll``). An empty block is not written."""

    raw: bytes = b""
    roll: bytes = b""


class Compactor:
    """Base class of :class:`monitor.store.redis.history.RedisHistory` with the methods that write and delete."""

    def __init__(
        self, connection: RedisConnection, prefix: str, retention: Retention, rejected: RejectedValues
    ) -> None:
        self._connection, self._names = connection, HistoryKeys.of(prefix)
        self._retention, self._rejected = retention, rejected
        self._other_keys = (f"{prefix}transitions", Keys.of(prefix).beacons, Keys.of(prefix).heartbeats)

    def compact(self, now: float) -> CompactionResult:
        """Pack the lists that are long enough and the lists whose hour is over. Delete expired and surplus blocks.

        Raise StoreUnavailable.
        """
        hours = lines = 0
        for _ in range(PASSES):
            lines, members = self._waiting_lists(now)
            packed = self._pack([_parse_member(member) for member in members], now)
            hours += packed
            if not packed:  # no list is left, or another process packs the lists
                break
        evicted, kept_bytes = self._trim(now, lines * LINE_BYTES + self._other_bytes())
        return CompactionResult(hours, evicted, kept_bytes + lines * LINE_BYTES)

    def forget(self, checks: Iterable[str], now: float) -> None:
        """Delete the history of these checks. Raise StoreUnavailable."""
        names, kept = list(checks), self._retention
        hours = (int((now - kept.raw_seconds) // HOUR_SECONDS) - 2, int(now // HOUR_SECONDS) + 1)
        days = (int((now - kept.rollup_seconds) // DAY_SECONDS) - 2, int(now // DAY_SECONDS) + 1)
        keys = [self._names.open, self._names.raw, self._names.roll, self._names.blocks]
        for start in range(0, len(names), CHECKS_PER_FORGET):
            batch = names[start : start + CHECKS_PER_FORGET]
            self._connection.run("history_forget", keys, [self._names.prefix, *hours, *days, *batch])

    def _waiting_lists(self, now: float) -> tuple[int, list[bytes]]:
        """Return the number of all unpacked lines, and at most ``LISTS_PER_PASS`` lists to pack."""
        lines, members, start = 0, list[bytes](), 0
        for _ in range(PASSES):
            count, start, refused, *found = self._connection.run(
                "history_waiting",
                [self._names.open],
                [self._names.prefix, int(now), ENOUGH_LINES, LISTS_PER_PASS - len(members), start],
            )
            self._rejected.count("index_entry", refused)
            lines, members = lines + count, members + found
            if start < 0:
                break
        return lines, members

    def _pack(self, waiting: Sequence[_WaitingList], now: float) -> int:
        packed = 0
        for batch in _batches(waiting):
            arguments: list[Argument] = [value for each in batch for value in (each.check, each.hour, each.day)]
            found = self._connection.run("history_fetch", [], [self._names.prefix, LIMIT_BYTES, *arguments])
            for each, (raw, roll, lines) in zip(batch, found, strict=True):
                packed += bool(lines) and self._write_blocks(each, raw, roll, lines, now)
        return packed

    def _write_blocks(self, waiting: _WaitingList, raw: bytes, roll: bytes, lines: Sequence[bytes], now: float) -> bool:
        new, names, kept = self._new_blocks(waiting, raw, roll, lines, now), self._names, self._retention
        answer = self._connection.run(
            "history_pack",
            [
                names.open_list(waiting.check, waiting.hour),
                names.open,
                names.raw_block(waiting.check, waiting.hour),
                names.roll_block(waiting.check, waiting.day),
                names.raw,
                names.roll,
                names.blocks,
            ],
            [
                *(waiting.check, waiting.hour, waiting.day, LIMIT_BYTES, BLOCK_OVERHEAD_BYTES),
                *(len(lines), lines[0], lines[-1]),
                *(raw, roll, new.raw, int((waiting.hour + 1) * HOUR_SECONDS + kept.raw_seconds)),
                *(new.roll, int((waiting.day + 1) * DAY_SECONDS + kept.rollup_seconds)),
            ],
        )
        return bool(answer)

    def _new_blocks(
        self, waiting: _WaitingList, raw: bytes, roll: bytes, lines: Sequence[bytes], now: float
    ) -> _NewBlocks:
        began, kept = waiting.hour * HOUR_SECONDS, self._retention
        decoded = list(decode_lines(lines))
        known, fresh = decode_samples(raw), gather(decoded).within(began, began + HOUR_SECONDS)
        self._rejected.count("sample", len(lines) - len(decoded))
        if not fresh:
            return _NewBlocks()
        known_day = decode_day(roll, waiting.day * DAY_SECONDS)
        self._rejected.count("block", bool(raw and known is None) + bool(roll and known_day is None))
        day = known_day or empty_day(waiting.day * DAY_SECONDS)
        rolled, samples = add_waiting_samples(day, known, fresh), merge([known, fresh]) if known else fresh
        is_raw = now < began + HOUR_SECONDS + kept.raw_seconds
        is_rolled = rolled is not None and now < (waiting.day + 1) * DAY_SECONDS + kept.rollup_seconds
        return _NewBlocks(
            encode_samples(samples) if is_raw else b"", encode_day(rolled) if rolled and is_rolled else b""
        )

    def _trim(self, now: float, other_bytes: int) -> tuple[int, int]:
        names, kept = self._names, self._retention
        evicted, total, more = 0, 0, 1
        while more:
            count, total, more = self._connection.run(
                "history_trim",
                [names.raw, names.roll, names.blocks],
                [
                    names.prefix,
                    int((now - kept.raw_seconds) // HOUR_SECONDS),
                    int((now - kept.rollup_seconds) // DAY_SECONDS),
                    max(0, kept.budget_bytes - other_bytes),
                    BLOCKS_PER_TRIM,
                ],
            )
            evicted += count
        return evicted, total

    def _other_bytes(self) -> int:
        """Return the bytes of transitions, beacons and heartbeats, which count against the budget of history.

        A size that the server does not report counts as 0.
        """
        return sum(int(self._connection.ask("MEMORY", "USAGE", key) or 0) for key in self._other_keys)


def _batches(waiting: Iterable[_WaitingList]) -> Iterator[Sequence[_WaitingList]]:
    """Yield batches of lists that can be packed from one read. Packing a list changes the block of its check's day.

    So a batch never contains two lists of the same check and day.
    """
    rounds: list[list[_WaitingList]] = []
    counts = Counter[tuple[str, int]]()
    for each in waiting:
        place = counts[each.check, each.day]
        counts[each.check, each.day] += 1
        if place == len(rounds):
            rounds.append([])
        rounds[place].append(each)
    for batch in rounds:
        for start in range(0, len(batch), LISTS_PER_FETCH):
            yield batch[start : start + LISTS_PER_FETCH]


def _parse_member(member: bytes) -> _WaitingList:
    check, _, hour = member.decode(errors="replace").rpartition("|")
    return _WaitingList(check, int(hour))
