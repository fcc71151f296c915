"""Configuration of the monitor.

Its sources are in `layers`, `environment` and `loading`, its models in `settings`, `model` and `alerts`, its problems
in `errors`, and its display without secrets in `describe`.
"""

from monitor.config.alerts import ChannelSpec, MaintenanceSpec
from monitor.config.errors import ConfigError, ConfigProblem, problems_from_validation, unknown_hint
from monitor.config.loading import load
from monitor.config.model import CheckSpec, Config, GroupSpec, Loaded
from monitor.lib.redaction import scrub

__all__ = [
    "ChannelSpec",
    "CheckSpec",
    "Config",
    "ConfigError",
    "ConfigProblem",
    "GroupSpec",
    "Loaded",
    "MaintenanceSpec",
    "load",
    "problems_from_validation",
    "scrub",
    "unknown_hint",
]
