"""``monitor up``: one supervised process tree on this machine.

``command`` is the way in, ``preflight`` says no before anything starts, ``supervisor`` is the loop, ``children`` one
child, ``restarts`` the pure restart policy, ``watcher`` the process that ends the rest when the supervisor is killed.
"""
