"""Names for use in keys and URLs: unchanged if they are safe, else changed and with a digest, so that they stay unique.

Standard library only: the agent uses it, too.
"""

from __future__ import annotations

import hashlib
import re

KINDS = ("group", "worker", "queue", "host")
"""Prefixes of the names of checks that contain the name of another object, such as ``queue:NAME``."""

_DIGEST = re.compile(r"\.[0-9a-f]{8}")
_DIGEST_CHARACTERS = 9


def safe_name(name: str, forbidden: re.Pattern[str], *, most_characters: int) -> str:
    """Return ``name``, or if it contains ``forbidden`` characters or is too long, a similar text with a digest.

    The digest is a dot and 8 hexadecimal digits. A name that ends like this gets a digest, too, so that the result for
    one name never equals another name.
    """
    plain = forbidden.sub("_", name)
    if plain == name and len(name) <= most_characters and not _DIGEST.fullmatch(name[-_DIGEST_CHARACTERS:]):
        return name
    return f"{plain[: most_characters - _DIGEST_CHARACTERS]}.{digest(name)}"


def digest(name: str) -> str:
    """Return 8 hexadecimal digits derived from ``name``."""
    return hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=4).hexdigest()
