"""Which channels there are: the files of this package, and the entry points ``monitor.channels`` of others."""

from __future__ import annotations

from monitor.alerts.base import Channel
from monitor.registry import Registry, Unknown, json_schema

__all__ = ["UnknownChannel", "build", "find", "names", "option_names", "register", "schema"]

CHANNELS: Registry[Channel] = Registry(
    "channel", "monitor.alerts", "monitor.channels", {"base", "dead_man", "reference", "registry", "text"}
)

UnknownChannel = Unknown
register = CHANNELS.register
names = CHANNELS.names
find = CHANNELS.find
build = CHANNELS.build
option_names = CHANNELS.option_names
schema = json_schema
