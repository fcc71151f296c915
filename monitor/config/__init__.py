"""Configuration of the monitor.

- `layers`, `environment` and `probe_environment` read the sources, and `loading` merges them.
- `settings`, `model` and `alerts` contain the models.
- `errors` contains the problems of a configuration.
- `describe` returns the effective values, with secrets masked.
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
