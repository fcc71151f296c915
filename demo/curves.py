"""Numbers that look measured: pure functions of a text and a time, the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import cos, pi
from zlib import crc32

DAY = 86_400.0
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Surge:
    """Something that builds up from ``since``, is highest at ``peak`` and is gone at ``until`` (epoch seconds)."""

    since: float
    peak: float
    until: float
    height: float

    def at(self, at: float) -> float:
        """How much of it there is."""
        if not self.since < at < self.until:
            return 0.0
        if at < self.peak:
            return self.height * (at - self.since) / (self.peak - self.since)
        return self.height * (self.until - at) / (self.until - self.peak)


def load(at: float) -> float:
    """How busy a shop is, 0 to 1: little before dawn, most in the evening, less on weekends. UTC."""
    hour = at % DAY / 3600
    daily = 0.5 - 0.42 * cos(2 * pi * (hour - 4.2) / 24) + 0.08 * cos(2 * pi * (hour - 12.5) / 8)
    weekend = int(at // DAY + 4) % 7 in (0, 6)
    return max(0.03, daily * (0.78 if weekend else 1.0))


def wobble(key: str, at: float, period: float) -> float:
    """Smooth noise, -1 to 1, with a new direction every ``period`` seconds."""
    place = at / period
    first = int(place)
    part = place - first
    part = part * part * (3 - 2 * part)
    number = _number(key)
    return _noise(number, first) * (1 - part) + _noise(number, first + 1) * part


def grain(key: str, at: float) -> float:
    """Noise, -1 to 1, that is another every second."""
    return _noise(_number(key), int(at))


def _noise(number: int, place: int) -> float:
    mixed = (number + place * 0x9E3779B97F4A7C15) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return (mixed ^ (mixed >> 31)) / (_MASK / 2) - 1.0


@lru_cache(maxsize=1024)
def _number(key: str) -> int:
    return crc32(key.encode()) << 32 | crc32(key[::-1].encode())
