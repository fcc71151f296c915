"""Packed columns of numbers: a JSON header and the columns, compressed with zlib.

Within a column, the lowest bytes of all numbers come first, then the next higher bytes, and so on. The high bytes of
consecutive numbers are similar, so they compress well when they are adjacent.
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
"""Maximum length of decompressed bytes. 36,000 samples of ten series take 3 MB."""

COLUMNS_LIMIT_BYTES = 4 * LIMIT_BYTES
HEAD_LIMIT_BYTES = 1024 * 1024

BROKEN = (ValueError, TypeError, LookupError, OverflowError, RecursionError, AttributeError, struct.error, zlib.error)
"""Exceptions that reading invalid bytes may raise."""

_LENGTH = struct.Struct("<I")
_ZEROS, _NUMBERS = 0, 1  # a column of zeros is stored as this single byte


def pack(header: Any, columns: Iterable[array[Any]]) -> bytes:
    """Return bytes that contain the header (as JSON) and the columns.

    The columns' types and lengths are not stored, so the header must contain what the reader needs to know them.
    """
    head = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    return zlib.compress(b"".join((_LENGTH.pack(len(head)), head, *map(_shuffle, columns))), level=6)


class Packed:
    """Reader of packed bytes: first the attribute ``header``, and then one column after another.

    For invalid bytes, its methods raise one of the exceptions in ``BROKEN``.
    """

    def __init__(self, raw: bytes) -> None:
        self._bytes = decoding.inflate(raw, max_bytes=LIMIT_BYTES)
        self._left = COLUMNS_LIMIT_BYTES
        (length,) = _LENGTH.unpack_from(self._bytes)
        self._place = _LENGTH.size + length
        self.header: Any = decoding.load(self._bytes[_LENGTH.size : self._place], max_bytes=HEAD_LIMIT_BYTES)

    def take(self, typecode: str, count: int) -> array[Any]:
        """Return the next column: ``count`` numbers of an array's ``typecode``."""
        column = array(typecode)
        size = column.itemsize
        piece = self._next(size * count)
        self._left -= size * count  # LIMIT_BYTES does not cover a column of zeros: it is a single byte
        if self._left < 0:
            raise ValueError("too long")
        if piece is None:
            column.frombytes(bytes(size * count))
            return column
        if size > 1:
            ordered = bytearray(len(piece))
            for byte in range(size):
                ordered[byte::size] = piece[byte * count : (byte + 1) * count]
            piece = bytes(ordered)
        column.frombytes(piece)
        if sys.byteorder == "big":
            column.byteswap()
        return column

    def skip(self, typecode: str, count: int) -> None:
        """Skip the next column."""
        self._next(array(typecode).itemsize * count)

    def _next(self, length: int) -> bytes | None:
        kind, self._place = self._bytes[self._place], self._place + 1
        if kind == _ZEROS and 0 <= length <= LIMIT_BYTES:
            return None
        piece = self._bytes[self._place : self._place + length]
        self._place += length
        if length < 0 or len(piece) != length:
            raise ValueError("truncated")
        return piece


def _shuffle(column: array[Any]) -> bytes:
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    raw = column.tobytes()
    if not raw.strip(b"\0"):
        return bytes((_ZEROS,))
    return b"".join((bytes((_NUMBERS,)), *(raw[byte :: column.itemsize] for byte in range(column.itemsize))))
