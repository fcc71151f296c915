"""Executor of checks in processes of their own, which can be killed whatever they are doing.

`fork_server` imports everything once and forks a check process for each request. `child` is that process. `sockets`
connects a worker to its fork server. `pool` is the worker's side and enforces the time limits.
"""

from monitor.executor.pool import ProcessExecutor

__all__ = ["ProcessExecutor"]
