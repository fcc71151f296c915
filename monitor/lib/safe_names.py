"""Names as parts of keys and URLs: as they are, or changed and with a digest, so that two names stay two.

Standard library only: the agent uses it, too.
"""

from __future__ import annotations

import hashlib
import re

KINDS = ("group", "worker", "queue", "host")
"""The kinds of checks that are named after something which has a name of its own: ``queue:NAME``."""

_DIGEST = re.compile(r"\.[0-9a-f]{8}")
_DIGEST_CHARACTERS = 9


def safe_name(name: str, forbidden: re.Pattern[str], *, most_characters: int) -> str:
    """Return ``name``; when it holds what is ``forbidden`` or is too long, the nearest text with a digest of the name.

    The digest is a dot and 8 hexadecimal digits. A name that ends like that is given one as well, so that no name is
    what another one becomes.
    """
    plain = forbidden.sub("_", name)
    if plain == name and len(name) <= most_characters and not _DIGEST.fullmatch(name[-_DIGEST_CHARACTERS:]):
        return name
    return f"{plain[: most_characters - _DIGEST_CHARACTERS]}.{digest(name)}"


def digest(name: str) -> str:
    """Return 8 hexadecimal digits that stand for ``name``."""
    return hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=4).hexdigest()
