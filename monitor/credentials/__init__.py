"""The token of a monitor's web server, and the login links and sessions that are signed with it.

Commands and web processes use this package. See docs/decisions/0016.
"""
