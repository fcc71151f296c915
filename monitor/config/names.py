"""Names, and patterns of names."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import StringConstraints

from monitor.config.units import CommaSeparated

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.@:-]+$", max_length=200)]
Names = Annotated[tuple[Name, ...], CommaSeparated]
Pattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.@:*?\[\]!-]+$", max_length=200)]
Patterns = Annotated[tuple[Pattern, ...], CommaSeparated]


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether any of the patterns fits the whole name: ``*`` any text, ``?`` any character, ``[ab]`` one of these."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
