"""Supervised process tree of `monitor up` and of the sidecar with Redis.

``preflight`` checks the preconditions before anything starts. ``supervisor`` is the loop, ``children`` one child,
``restarts`` the pure restart policy. ``watcher`` is the process that ends the tree when the supervisor is killed.
"""
