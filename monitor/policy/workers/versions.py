"""Comparison of an agent's version with the version of the monitor."""

from __future__ import annotations

import re
from enum import StrEnum
from itertools import zip_longest

from monitor.agent.protocol import Beacon


class Side(StrEnum):
    """The side that has the older version."""

    AGENT = "agent"
    MONITOR = "monitor"


def older_side(beacon: Beacon, monitor_version: str) -> Side | None:
    """Return the side with the older version. None if the versions are equal, or if one of them is not known.

    Only the release numbers are compared: ``1.2`` equals ``1.2.0`` and ``1.2rc1``. An agent that reports no version is
    older than each monitor: earlier agents report none.
    """
    monitor = _release(monitor_version)
    if monitor is None:
        return None
    if not beacon.version:
        return Side.AGENT
    agent = _release(beacon.version)
    if agent is None:
        return None
    for ours, theirs in zip_longest(monitor, agent, fillvalue=0):
        if ours != theirs:
            return Side.AGENT if theirs < ours else Side.MONITOR
    return None


def outdated_message(beacon: Beacon, side: Side, monitor_version: str) -> str:
    """Return a message with both versions."""
    if side is Side.MONITOR:
        return f"the monitor ({monitor_version}) is older than its agent ({beacon.version}): upgrade the monitor"
    agent = f"its agent ({beacon.version})" if beacon.version else "its agent"
    return f"{agent} is older than the monitor ({monitor_version}): upgrade the package in the worker's image"


def _release(version: str) -> tuple[int, ...] | None:
    match = re.match(r"v?(\d{1,9}(?:\.\d{1,9}){0,9})(?!\d)", version)
    return tuple(map(int, match[1].split("."))) if match else None
