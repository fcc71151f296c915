"""Executor of checks in processes of their own, which can be killed whatever they are doing.

`fork_server` imports everything once and forks a check process for each request. `child` is that process. `channel` has
the sockets between a worker and its fork server. `pool` is the worker's side and enforces the time limits.
"""

from monitor.executor.pool import ProcessExecutor

__all__ = ["ProcessExecutor"]
