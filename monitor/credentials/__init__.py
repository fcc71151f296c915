"""The token of a server of ours, and the links and sessions that are made of it. Shared by commands and web processes.

See docs/decisions/0016.
"""
