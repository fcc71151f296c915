"""Arithmetic of past observations: samples, roll-ups, series and uptime.

Pure: no IO and no clock; ``now`` is an argument.
"""
