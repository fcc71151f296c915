"""A bound on the TCP connections of a server process, whichever server it is.

Without one, clients that connect and do nothing take every place that the server has for connections, and no probe is
answered. ``bounds`` derives the bound from the limit on open files, ``idle`` decides which connections go (pure),
``sockets`` reads the connections from the kernel, ``guard`` is the thread that closes them.
"""

from monitor.lib.connection_limit.bounds import Bounds, raise_open_file_limit
from monitor.lib.connection_limit.guard import ConnectionGuard

__all__ = ["Bounds", "ConnectionGuard", "raise_open_file_limit"]
