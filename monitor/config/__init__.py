"""The configuration: where it comes from (`layers`, `loading`), what it holds (`settings`, `model`), what is wrong with
it (`errors`), and what of it may be shown (`redaction`, `describe`)."""

from typing import TYPE_CHECKING, Any

from monitor.config.alerts import ChannelSpec, MaintenanceSpec
from monitor.config.errors import ConfigError, Problem, problems_from_validation, unknown_hint
from monitor.config.loaded import Loaded
from monitor.config.model import CheckSpec, Config, GroupSpec
from monitor.config.redaction import scrub

if TYPE_CHECKING:
    from monitor.config.loading import load

__all__ = [
    "ChannelSpec",
    "CheckSpec",
    "Config",
    "ConfigError",
    "GroupSpec",
    "Loaded",
    "MaintenanceSpec",
    "Problem",
    "load",
    "problems_from_validation",
    "scrub",
    "unknown_hint",
]


def __getattr__(name: str) -> Any:
    """``load`` on first use: who is handed a Config has no need for pydantic-settings."""
    if name == "load":
        from monitor.config import loading  # noqa: PLC0415

        return loading.load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
