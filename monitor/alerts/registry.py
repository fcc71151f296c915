"""Which channels there are: the files of this package, and the entry points ``monitor.channels`` of others."""

from __future__ import annotations

from monitor.alerts.base import Channel
from monitor.plugins.registry import Registry

CHANNELS: Registry[Channel] = Registry("channel", "monitor.alerts.channels", "monitor.channels")

register = CHANNELS.register
"""What a channel is made known by, also one of another distribution."""
