"""Limits on the connections of a process, computed from the limit on its open files (``ulimit -n``)."""

from __future__ import annotations

import resource
from dataclasses import dataclass

RESERVED_DESCRIPTORS = 64
"""Descriptors that are no connections: about 20 of the server, and those of a project's database and caches."""

MIN_CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits on connections. The guard closes connections above ``connections``; the server accepts up to ``accepted``.

    ``accepted`` is a third higher than ``connections``. So the guard has time to close connections while clients open
    more. The guard closes the connections that are idle for longest. So a new connection stays open until about
    ``connections`` more are opened, and before that the server has responded.
    """

    connections: int

    @property
    def accepted(self) -> int:
        """Highest number of open connections that the server accepts."""
        return self.connections + -(-self.connections // 3)

    @classmethod
    def within(cls, open_files: int, at_most: int) -> Bounds:
        """Return the largest bounds, up to ``at_most`` connections, that a limit on open files allows."""
        return cls(max(MIN_CONNECTIONS, min(at_most, (open_files - RESERVED_DESCRIPTORS) * 3 // 4)))


def raise_open_file_limit(at_most: int) -> Bounds:
    """Raise the soft limit on open files for ``at_most`` connections, but not above the hard limit.

    Return the bounds that the new soft limit allows.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = Bounds(at_most).accepted + RESERVED_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < needed:
        allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
            soft = allowed
        except (OSError, ValueError):  # a sandbox forbids the change, or macOS has a lower limit for every process
            pass
    return Bounds.within(needed if soft == resource.RLIM_INFINITY else soft, at_most)
