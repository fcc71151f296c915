"""The token of a monitor's web server, and the login links and sessions derived from it.

Commands and web processes share this package. See docs/decisions/0016.
"""
