"""Computations on past observations: samples, roll-ups, series and uptime.

The functions do no IO and read no clock: ``now`` is an argument.
"""
