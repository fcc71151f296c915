"""Supervised process tree of `monitor up` and of the sidecar with Redis.

``preflight`` checks the preconditions before a process is started. ``supervisor`` has the loop that starts and restarts
child processes. ``children`` defines one child process. ``restarts`` computes the delay before a restart. ``watcher``
is the process that ends the tree if the supervisor is killed.
"""
