"""Registry of all kinds: the modules of ``monitor.checks.kinds`` and the entry points ``monitor.kinds`` of packages."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.checks.base import Kind
from monitor.plugins.registry import Registry

KINDS: Registry[Kind] = Registry("kind", "monitor.checks.kinds", "monitor.kinds")

register = KINDS.register
"""Class decorator that registers a kind: ``@register("name")``. Packages of users may call it."""


def configured_options(name: str) -> Mapping[str, str]:
    """Return the options of a kind that default to a setting, each with the key of this setting.

    Raises :class:`monitor.plugins.registry.UnknownPlugin`.
    """
    return {field.name: field.metadata["config"] for field in KINDS.fields(name) if "config" in field.metadata}


def warm_up(name: str) -> None:
    """Import a kind and build its validator, so that the first run of the kind takes no longer than later runs."""
    KINDS.validator(KINDS.find(name))
