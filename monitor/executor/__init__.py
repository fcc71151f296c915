"""Executor that runs each check in a check process, a process that can be killed at any point of the check.

`fork_server` is the process that has all imports done and forks check processes. `child` is the code of a check
process. `sockets` connects a worker to its fork server. `pool` is the code in the worker; it enforces the time limits.
"""

from monitor.executor.pool import ProcessExecutor

__all__ = ["ProcessExecutor"]
