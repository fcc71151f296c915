"""Registry of alert channels: the modules in `channels`, and entry points ``monitor.channels`` of other packages."""

from __future__ import annotations

from monitor.alerts.base import Channel
from monitor.plugins.registry import Registry

CHANNELS: Registry[Channel] = Registry("channel", "monitor.alerts.channels", "monitor.channels")

register = CHANNELS.register
"""Decorator that registers a class of channels. Other distributions may use it."""
