"""Conversion of names to safe names for keys and URLs. Different names get different safe names.

The module imports only the standard library, because the agent uses it.
"""

from __future__ import annotations

import hashlib
import re

KINDS = ("group", "worker", "queue", "host")
"""Prefixes in the names of the runtime checks that are named after another object, such as ``queue:NAME``."""

CHECK_NAME_LENGTH = 200
"""Most characters of the name of a check."""

_FORBIDDEN_IN_CHECK = re.compile(r"[^A-Za-z0-9_.@:-]")

_ENDING = re.compile(r"\.[0-9a-f]{8}")
_ENDING_CHARACTERS = 9


def safe_name(name: str, forbidden: re.Pattern[str], *, max_characters: int) -> str:
    """Return ``name`` if it is safe, else a similar text that ends with a dot and a digest of 8 hexadecimal digits.

    A name is safe if it has no ``forbidden`` characters, has at most ``max_characters``, and does not end with a dot
    and 8 hexadecimal digits. Because of the last condition, no result equals another safe name.
    """
    permitted = forbidden.sub("_", name)
    if permitted == name and len(name) <= max_characters and not _ENDING.fullmatch(name[-_ENDING_CHARACTERS:]):
        return name
    return f"{permitted[: max_characters - _ENDING_CHARACTERS]}.{digest(name)}"


def check_name(kind: str, target: str) -> str:
    """Return the name of the check of a worker, a queue, a cache or another target.

    Characters that the name of a check cannot have are replaced. A changed name gets a short digest of the original, so
    that different targets have different names.
    """
    return f"{kind}:{safe_name(target, _FORBIDDEN_IN_CHECK, max_characters=CHECK_NAME_LENGTH - len(kind) - 1)}"


def digest(name: str) -> str:
    """Return 8 hexadecimal digits derived from ``name``."""
    return hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=4).hexdigest()
