"""Signed random values that expire: the codes of login links, and sessions. Creating a value requires the token.

A value is the base64url encoding of 16 random bytes, the expiry time (6 bytes, seconds since the Unix epoch) and the
first 16 bytes of an HMAC-SHA256 over the purpose, the random bytes and the expiry time, with the token as the key (RFC
2104). The token cannot be derived from a value.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time

CODE, CODE_SECONDS = "code", 600.0
SESSION, SESSION_SECONDS = "session", 12 * 3600.0
CHARACTERS = 51

_RANDOM_BYTES, _EXPIRY_BYTES, _MAC_BYTES = 16, 6, 16


def sign(token: str, purpose: str, seconds: float) -> str:
    """Return a new value for ``purpose`` (`CODE` or `SESSION`) that expires after ``seconds``."""
    payload = secrets.token_bytes(_RANDOM_BYTES) + int(time.time() + seconds).to_bytes(_EXPIRY_BYTES, "big")
    return base64.urlsafe_b64encode(payload + _mac(token, purpose, payload)).decode().rstrip("=")


def verify(token: str, purpose: str, value: str) -> bool:
    """Return whether the value was created with this token for this purpose. `is_expired` tests its expiry."""
    decoded = _decoded(value)
    if decoded is None:
        return False
    payload, mac = decoded[:-_MAC_BYTES], decoded[-_MAC_BYTES:]
    return hmac.compare_digest(mac, _mac(token, purpose, payload))


def is_expired(value: str) -> bool:
    """Return whether a value has expired, by this machine's clock. A malformed value has expired."""
    decoded = _decoded(value)
    return (
        decoded is None or int.from_bytes(decoded[_RANDOM_BYTES : _RANDOM_BYTES + _EXPIRY_BYTES], "big") < time.time()
    )


def _decoded(value: str) -> bytes | None:
    if len(value) != CHARACTERS:
        return None
    try:
        return base64.b64decode(value.encode("ascii") + b"=", altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None


def _mac(token: str, purpose: str, payload: bytes) -> bytes:
    return hmac.digest(token.encode(), purpose.encode() + b"\0" + payload, hashlib.sha256)[:_MAC_BYTES]
