"""Registry of the kinds: the files of ``monitor.checks.kinds``, and other packages' entry points ``monitor.kinds``."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.checks.base import Kind
from monitor.plugins.registry import Registry

KINDS: Registry[Kind] = Registry("kind", "monitor.checks.kinds", "monitor.kinds")

register = KINDS.register
"""Class decorator that registers a kind, also one of another distribution: ``@register("name")``."""


def configured_options(name: str) -> Mapping[str, str]:
    """Return the options of a kind whose default is a value of the configuration: option -> key of the configuration.

    Raises :class:`monitor.plugins.registry.UnknownPlugin`.
    """
    return {field.name: field.metadata["config"] for field in KINDS.fields(name) if "config" in field.metadata}


def warm_up(name: str) -> None:
    """Import a kind and build its validator, so that its first run does not take longer than others."""
    KINDS.validator(KINDS.find(name))
