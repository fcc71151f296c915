"""Columns of numbers as bytes and back: JSON about them, then each column by the significance of its bytes, then zlib.

The high bytes of neighbouring numbers are alike; side by side they pack well.
"""

from __future__ import annotations

import json
import struct
import sys
import zlib
from array import array
from collections.abc import Iterable
from typing import Any

from monitor.lib import decoding

LIMIT_BYTES = 8 * 1024 * 1024
"""Nothing longer is unpacked: 36,000 samples of ten series are 3 MB."""

COLUMNS_LIMIT_BYTES = 4 * LIMIT_BYTES
HEAD_LIMIT_BYTES = 1024 * 1024

BROKEN = (ValueError, TypeError, LookupError, OverflowError, RecursionError, AttributeError, struct.error, zlib.error)
"""What reading something that was not packed here may raise."""

_LENGTH = struct.Struct("<I")
_ZEROS, _NUMBERS = 0, 1  # a column of zeros is this one byte


def pack(about: Any, columns: Iterable[array[Any]]) -> bytes:
    """What is to be known about the columns (their lengths, for one), as JSON, and the columns."""
    head = json.dumps(about, separators=(",", ":"), allow_nan=False).encode()
    return zlib.compress(b"".join((_LENGTH.pack(len(head)), head, *map(_shuffled, columns))), level=6)


class Packed:
    """What was packed: ``about``, and then one column after the other. May raise any of ``BROKEN``."""

    def __init__(self, raw: bytes) -> None:
        self._bytes = decoding.inflate(raw, most_bytes=LIMIT_BYTES)
        self._left = COLUMNS_LIMIT_BYTES
        (length,) = _LENGTH.unpack_from(self._bytes)
        self._place = _LENGTH.size + length
        self.about: Any = decoding.load(self._bytes[_LENGTH.size : self._place], most_bytes=HEAD_LIMIT_BYTES)

    def take(self, typecode: str, count: int) -> array[Any]:
        """The next column."""
        column = array(typecode)
        size = column.itemsize
        part = self._next(size * count)
        self._left -= size * count  # zeros take no room in what was packed
        if self._left < 0:
            raise ValueError("too long")
        if part is None:
            column.frombytes(bytes(size * count))
            return column
        if size > 1:
            ordered = bytearray(len(part))
            for byte in range(size):
                ordered[byte::size] = part[byte * count : (byte + 1) * count]
            part = bytes(ordered)
        column.frombytes(part)
        if sys.byteorder == "big":
            column.byteswap()
        return column

    def skip(self, typecode: str, count: int) -> None:
        """Leave out the next column."""
        self._next(array(typecode).itemsize * count)

    def _next(self, length: int) -> bytes | None:
        kind, self._place = self._bytes[self._place], self._place + 1
        if kind == _ZEROS and 0 <= length <= LIMIT_BYTES:
            return None
        part = self._bytes[self._place : self._place + length]
        self._place += length
        if length < 0 or len(part) != length:
            raise ValueError("cut short")
        return part


def _shuffled(column: array[Any]) -> bytes:
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    raw = column.tobytes()
    if not raw.strip(b"\0"):
        return bytes((_ZEROS,))
    return b"".join((bytes((_NUMBERS,)), *(raw[byte :: column.itemsize] for byte in range(column.itemsize))))
