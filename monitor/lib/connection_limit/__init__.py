"""Limit on the TCP connections of a server process, for any server.

Without a limit, idle clients can use up all connections that the server accepts. Then no probe gets a response.
``bounds`` computes the limit from the limit on open files. ``sockets`` reads the connections from the kernel. ``idle``
selects the connections to close, as a pure function. ``guard`` is the thread that closes these connections.
"""

from monitor.lib.connection_limit.bounds import Bounds, raise_open_file_limit
from monitor.lib.connection_limit.guard import ConnectionGuard

__all__ = ["Bounds", "ConnectionGuard", "raise_open_file_limit"]
