"""Limits on the connections of a process, derived from the limit on its open files (``ulimit -n``)."""

from __future__ import annotations

import resource
from dataclasses import dataclass

RESERVED_DESCRIPTORS = 64
"""Open files of a server process other than connections: about 20, and those of a project's database and caches."""

FEWEST = 8


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits on connections: the guard closes those above ``connections``; the server accepts none above ``accepted``.

    ``accepted`` is a third higher. That gives the guard enough time to close connections while clients open more. It is
    also small enough: a new connection stays open until about ``connections`` more were opened, and by then the server
    has responded.
    """

    connections: int

    @property
    def accepted(self) -> int:
        """Limit on open connections that the server itself enforces."""
        return self.connections + -(-self.connections // 3)

    @classmethod
    def within(cls, open_files: int, at_most: int) -> Bounds:
        """Return the largest bounds, up to ``at_most`` connections, that a limit on open files allows."""
        return cls(max(FEWEST, min(at_most, (open_files - RESERVED_DESCRIPTORS) * 3 // 4)))


def raise_open_file_limit(at_most: int) -> Bounds:
    """Raise the soft limit on open files to the number that ``at_most`` connections need, or to the hard limit.

    Return the bounds that the new limit allows.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = Bounds(at_most).accepted + RESERVED_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < needed:
        allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
            soft = allowed
        except (OSError, ValueError):  # forbidden by a sandbox, or above macOS's limit for any process
            pass
    return Bounds.within(needed if soft == resource.RLIM_INFINITY else soft, at_most)
