"""The past: samples, roll-ups, uptime. Pure: no IO, no clock; ``now`` is an argument."""
