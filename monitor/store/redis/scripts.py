"""Lua scripts that read and write everything in Redis, one file each in ``lua/``.

Each begins with a comment on its keys, its arguments and the invariant that it keeps.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Script(NamedTuple):
    """A script's text, and the digest under which a server caches it."""

    text: str
    sha: str


@cache
def load(name: str) -> Script:
    """Return the script ``name``, preceded by the functions that all scripts share."""
    text = f"{_read('prelude')}\n{_read(name)}"
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@cache
def _read(name: str) -> str:
    return (files(__package__) / "lua" / f"{name}.lua").read_text(encoding="utf-8")
