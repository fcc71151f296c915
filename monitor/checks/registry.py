"""Which kinds there are: the files of this package, and what others ship under the entry point ``monitor.kinds``."""

from __future__ import annotations

from collections.abc import Mapping

from monitor.checks.base import Kind
from monitor.plugins.registry import Registry

KINDS: Registry[Kind] = Registry("kind", "monitor.checks.kinds", "monitor.kinds")

register = KINDS.register
"""What a kind is made known by, also one of another distribution."""


def configured_options(name: str) -> Mapping[str, str]:
    """The options of a kind that the configuration fills when the check does not: option -> key of the configuration.

    Raises :class:`monitor.plugins.registry.UnknownPlugin`.
    """
    return {field.name: field.metadata["config"] for field in KINDS.fields(name) if "config" in field.metadata}


def warm_up(name: str) -> None:
    """Import a kind and build its validator, which else is part of its first run's response time."""
    KINDS.validator(KINDS.find(name))
