"""How many connections a process holds, derived from the limit on its open files (``ulimit -n``)."""

from __future__ import annotations

import resource
from dataclasses import dataclass

RESERVED_DESCRIPTORS = 64
"""Open files of a server process that are no connections: about 20, and a project's database and caches."""

FEWEST = 8


@dataclass(frozen=True, slots=True)
class Bounds:
    """``connections`` are kept; up to ``accepted`` may be open while the guard closes what is above the bound.

    The server itself stops to accept at ``accepted``. A third is enough for the guard to be faster than a crowd, and so
    little that a new connection lives on while as many as the bound come after it: time for its answer.
    """

    connections: int

    @property
    def accepted(self) -> int:
        """The server's own limit on connections."""
        return self.connections + -(-self.connections // 3)

    @classmethod
    def within(cls, open_files: int, at_most: int) -> Bounds:
        """Return the largest bounds up to ``at_most`` connections that fit a limit on open files."""
        return cls(max(FEWEST, min(at_most, (open_files - RESERVED_DESCRIPTORS) * 3 // 4)))


def raise_open_file_limit(at_most: int) -> Bounds:
    """Raise the soft limit on open files as far as ``at_most`` connections need and the hard limit allows.

    Returns the bounds that fit the limit as it is then.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = Bounds(at_most).accepted + RESERVED_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
            soft = allowed
        except (OSError, ValueError):  # forbidden by a sandbox, or beyond what macOS allows any process
            pass
    return Bounds.within(wanted if soft == resource.RLIM_INFINITY else soft, at_most)
