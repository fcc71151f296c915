"""Limit on the TCP connections of a server process; it works with any server.

Without a limit, idle clients use up all connections of the server, and no probe gets a response. ``bounds`` derives the
limit from the limit on open files. ``idle`` selects the connections to close (pure). ``sockets`` reads the connections
from the kernel. ``guard`` is the thread that closes them.
"""

from monitor.lib.connection_limit.bounds import Bounds, raise_open_file_limit
from monitor.lib.connection_limit.guard import ConnectionGuard

__all__ = ["Bounds", "ConnectionGuard", "raise_open_file_limit"]
