"""Lua scripts of the store. Each is a file in ``lua/``.

A script begins with a comment that describes its keys, its arguments, its reply and the invariant that it keeps.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Script(NamedTuple):
    """A script's text, and its SHA-1 digest, by which a server finds the script in its cache."""

    text: str
    sha: str


@cache
def load(name: str) -> Script:
    """Return the script ``name`` with the functions that all scripts share, from ``prelude.lua``."""
    text = f"{_read('prelude')}\n{_read(name)}"
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@cache
def _read(name: str) -> str:
    return (files(__package__) / "lua" / f"{name}.lua").read_text(encoding="utf-8")
