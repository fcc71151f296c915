"""Where checks run: in processes that can be ended whatever they are doing.

`zygote` imports everything once and forks a check process for each request; `child` is that process; `channel` has the
sockets between a worker and its zygote; `pool` is the worker's side, which holds the clock.
"""

from monitor.executor.pool import ProcessExecutor

__all__ = ["ProcessExecutor"]
