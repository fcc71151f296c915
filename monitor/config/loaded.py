"""A configuration that was loaded, with where each value came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from monitor.config.model import Config

DEFAULT_ORIGIN = "default"


@dataclass(frozen=True)
class Loaded:
    """A configuration, and for each dotted key that was set where that was; what is not in ``origins`` is a default."""

    config: Config
    origins: Mapping[str, str]

    def origin(self, key: str) -> str:
        """Where the value of the dotted key came from: ``default``, ``file monitor.toml``, ``settings.MONITOR`` or
        ``environment MONITOR_X``."""
        return self.origins.get(key, DEFAULT_ORIGIN)
